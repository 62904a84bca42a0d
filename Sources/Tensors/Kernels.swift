internal import CKernels

/// The C kernels of one instruction set, chosen once at start.
public struct Kernels: @unchecked Sendable {
    // @unchecked: a pointer to a constant table.
    private let pointer: UnsafePointer<lt_kernels>
    var table: lt_kernels { pointer.pointee }

    /// Selects the table `name` (`avx512vnni`, `avx512`, `avx2`, `portable`), or the best one for nil.
    ///
    /// Returns nil if this CPU cannot run it.
    public init?(named name: String? = nil) {
        guard let found = lt_kernels_named(name) else { return nil }
        pointer = found
    }

    /// The name of the instruction set, as in `available`.
    public var name: String { String(cString: pointer.pointee.name) }

    /// True if the vectors have 512 bits.
    ///
    /// oneDNN then has bf16 products, and both libraries sum a row in the same order regardless of the number of rows.
    var isAVX512: Bool { name.hasPrefix("avx512") }

    /// Sums of absolute differences of adjacent blocks of 4×4 RGB pixels, 48 bytes each, exact.
    ///
    /// - Parameters:
    ///   - stride: bytes from row to row, in both images.
    ///   - count: number of blocks.
    package func blockDifferences(
        _ pixels: UnsafePointer<UInt8>, _ others: UnsafePointer<UInt8>, stride: Int, count: Int,
        into out: UnsafeMutablePointer<UInt16>
    ) {
        table.block_differences(pixels, others, stride, count, out)
    }

    /// Names of the tables that this CPU can run, best first.
    public static var available: [String] {
        var names: [String] = []
        var table = lt_kernels_available()
        while let entry = table?.pointee {
            names.append(String(cString: entry.pointee.name))
            table = table?.advanced(by: 1)
        }
        return names
    }
}
