import Synchronization

/// Row-major elements that are computed on first use and stay in memory as long as this object.
package final class DeferredElements: Sendable {
    /// Size in bytes.
    package let byteCount: Int
    private let fill: @Sendable (UnsafeMutableRawPointer) -> Void
    /// The address of the elements; 0 until they are computed.
    private let address = Mutex<UInt>(0)

    /// - Parameter fill: writes all bytes; called at most once, on the thread that needs them first.
    package init(byteCount: Int, fill: @escaping @Sendable (UnsafeMutableRawPointer) -> Void) {
        self.byteCount = byteCount
        self.fill = fill
    }

    deinit {
        address.withLock { UnsafeMutableRawPointer(bitPattern: $0)?.deallocate() }
    }

    /// The elements.
    var bytes: UnsafeRawBufferPointer {
        let address = address.withLock { address in
            if address == 0 {
                let target = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
                fill(target)
                address = UInt(bitPattern: target)
            }
            return address
        }
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: byteCount)
    }
}
