/// The function applied to a product's result together with its bias.
public enum Activation: Sendable {
    case none
    case quickGELU  // x · sigmoid(1.702 x), CLIP
    case gelu  // the exact one, by erf, the projector's
}

/// A linear layer on rows: out = act(x · Wᵀ + bias), or out += x · Wᵀ + bias.
struct LinearProduct {
    let input: MatrixView  // [T, in]
    let weight: Matrix  // [out, in]
    let bias: UnsafePointer<Float>?  // [out]
    let activation: Activation
    let accumulate: Bool
    let output: MatrixView  // [T, out]
}

/// `groups` × `repeats` products of matrices that lie at regular strides: the two products of attention.
///
/// a[g,r] is m × k, b[g] is k × n and shared by the repeats, c[g,r] is m × n. Strides in numbers.
struct BatchedGEMM: Hashable {
    var groups: Int
    var repeats: Int
    var m: Int
    var n: Int
    var k: Int
    var aType: DType
    var aGroup: Int
    var aRepeat: Int
    var aRow: Int
    var bGroup: Int
    var bRow: Int  // from k to k+1
    var bColumn: Int  // from n to n+1
    var cType: DType
    var cGroup: Int
    var cRepeat: Int
    var cRow: Int
}

/// c = a · b, or c += a · b, of f32; strides in numbers.
struct GEMM {
    let m: Int
    let n: Int
    let k: Int
    let a: UnsafePointer<Float>  // [m, k]
    let aRow: Int
    let b: UnsafePointer<Float>  // [k, n], or [n, k] where it is transposed
    let bRow: Int
    let isTransposed: Bool
    let accumulate: Bool
    let c: UnsafeMutablePointer<Float>  // [m, n]
    let cRow: Int
}

/// What a library of large products must do.
protocol MatmulBackend: AnyObject {
    /// One thread's product; several threads may call at once.
    func multiply(_ product: GEMM)
    func linear(_ product: LinearProduct)
    func grouped(
        _ product: BatchedGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer)
    /// Name and version, for `longtake doctor`.
    var version: String { get }
}
