import Glibc

/// Uninitialized memory for `count` elements, aligned to 64 bytes and freed with its owner.
///
/// Allocate one per stage and reuse it: nothing allocates in the frame loop.
public struct Buffer<Element: BitwiseCopyable>: ~Copyable {
    /// The first element; changes when `reserve` allocates.
    public private(set) var pointer: UnsafeMutablePointer<Element>
    /// Capacity in elements.
    public private(set) var count: Int

    /// Allocates `count` elements; traps if memory is exhausted.
    public init(count: Int) {
        precondition(count >= 0, "a buffer cannot hold \(count) elements")
        self.count = count
        pointer = Self.allocate(count)
    }

    deinit { free(pointer) }

    private static var hugePage: Int { 2 << 20 }

    /// Grows the buffer to at least `wanted` elements; if it has to grow, the contents are lost.
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
            // The preflight check refuses work that cannot fit; beyond it, Linux overcommits and kills the process
            // before malloc fails.
            preconditionFailure("out of memory: \(bytes) bytes")
        }
        // One page fault instead of 512. A kernel without huge pages returns an error, which is harmless.
        if isLarge { madvise(raw, bytes & ~(hugePage - 1), MADV_HUGEPAGE) }
        return raw.assumingMemoryBound(to: Element.self)
    }
}
