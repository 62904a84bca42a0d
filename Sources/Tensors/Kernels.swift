internal import CKernels

/// The C kernels of one instruction set, chosen once at start.
public struct Kernels: @unchecked Sendable {
    // @unchecked: a pointer to a constant table.
    private let pointer: UnsafePointer<lt_kernels>
    var table: lt_kernels { pointer.pointee }

    /// The best table this CPU runs, or the one named (`avx512vnni`, `avx512`, `avx2`, `portable`); nil when it does not run here.
    public init?(named name: String? = nil) {
        guard let found = lt_kernels_named(name) else { return nil }
        pointer = found
    }

    /// The name of the instruction set.
    public var name: String { String(cString: pointer.pointee.name) }

    /// Whether it has vectors of 512 bits: the libraries then have bf16 products, and sum a row alike however many rows there are.
    var isAVX512: Bool { name.hasPrefix("avx512") }

    /// Names of every table this CPU runs, best first.
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
