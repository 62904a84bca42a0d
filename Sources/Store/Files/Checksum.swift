import CXXHash

/// XXH3-64, the checksum of everything in the cache.
package enum Checksum {
    /// Returns the XXH3-64 of `bytes`.
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }

    /// Returns the XXH3-64 of `bytes`.
    package static func of(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { of($0) } }

    /// Returns `value` as 16 hexadecimal digits, most significant first.
    package static func hex(_ value: UInt64) -> String {
        ContentHash.hex((0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) })
    }
}

/// XXH3-64 of bytes that arrive in pieces.
final class RunningChecksum {
    private let state: OpaquePointer

    init() {
        guard let state = XXH3_createState() else { fatalError("out of memory") }
        self.state = state
        XXH3_64bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    func add(_ bytes: UnsafeRawBufferPointer) { XXH3_64bits_update(state, bytes.baseAddress, bytes.count) }

    var value: UInt64 { XXH3_64bits_digest(state) }
}
