import Glibc

/// A block of numbers in memory aligned to 64 bytes, owned once and freed with its owner.
///
/// Contents are not initialised. For buffers that live as long as a stage does: nothing allocates in the frame loop.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable {
    public private(set) var pointer: UnsafeMutablePointer<Element>
    public private(set) var count: Int

    public init(count: Int) {
        precondition(count >= 0, "a buffer cannot hold \(count) elements")
        self.count = count
        pointer = Self.allocate(count)
    }

    deinit { free(pointer) }

    private static var hugePage: Int { 2 << 20 }

    /// Makes room for `wanted` elements; the contents are lost when the buffer moves.
    public mutating func reserve(_ wanted: Int) {
        guard wanted > count else { return }
        free(pointer)
        pointer = Self.allocate(wanted)
        count = wanted
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
        var raw: UnsafeMutableRawPointer?
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let isLarge = bytes >= hugePage
        guard posix_memalign(&raw, isLarge ? hugePage : 64, (bytes + 63) & ~63) == 0, let raw else {
            // Preflight refuses what cannot fit; past it the kernel kills before malloc fails.
            preconditionFailure("out of memory: \(bytes) bytes")
        }
        // One fault instead of 512; a kernel without huge pages refuses, which changes nothing else.
        if isLarge { madvise(raw, bytes & ~(hugePage - 1), MADV_HUGEPAGE) }
        return raw.assumingMemoryBound(to: Element.self)
    }
}
