/// The activation function applied to a product after its bias.
public enum Activation: Sendable {
    case none
    /// x · sigmoid(1.702 x), in CLIP.
    case quickGELU
    /// x/2 · (1 + erf(x/√2)), the exact GELU; in the projector.
    case gelu
}

/// A linear layer: out = act(x · Wᵀ + bias), or out += x · Wᵀ + bias.
struct LinearProduct {
    let input: MatrixView  // [T, in]
    let weight: Matrix  // [out, in]
    let bias: UnsafePointer<Float>?  // [out]
    let activation: Activation
    let accumulate: Bool
    let output: MatrixView  // [T, out]
}

/// `groups` × `repeats` matrix products at regular strides: the two products of attention.
///
/// a[g,r] is m × k; b[g] is k × n, shared by the repeats; c[g,r] is m × n. Strides in elements.
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
    var bRow: Int  // from k to k + 1
    var bColumn: Int  // from n to n + 1
    var cType: DType
    var cGroup: Int
    var cRepeat: Int
    var cRow: Int
}

/// c = a · b, or c += a · b, in f32; strides in elements.
struct GEMM {
    let m: Int
    let n: Int
    let k: Int
    let a: UnsafePointer<Float>  // [m, k]
    let aRow: Int
    let b: UnsafePointer<Float>  // [k, n], or [n, k] if isTransposed
    let bRow: Int
    let isTransposed: Bool
    let accumulate: Bool
    let c: UnsafeMutablePointer<Float>  // [m, n]
    let cRow: Int
}

/// c = a · b, or c += a · b, for one tile of attention; c is f32, strides in elements.
struct TileGEMM: Hashable {
    let type: DType  // of a and b
    let m: Int
    let n: Int
    let k: Int
    let aRow: Int  // a [m, k]
    let bRow: Int  // b [k, n], or [n, k] if isTransposed
    let isTransposed: Bool
    let accumulate: Bool
    let cRow: Int  // c [m, n]
}

/// A library of large matrix products.
protocol MatmulBackend: AnyObject {
    /// Computes one product on the calling thread; several threads may call at once.
    func gemm(_ product: GEMM)
    /// Computes a linear layer on all threads.
    func linear(_ product: LinearProduct)
    /// Computes a batch of products on all threads.
    func batchedGEMM(
        _ product: BatchedGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer)
    /// Computes one small product on the calling thread only, thread `thread` of the pool; bf16 operands only if the
    /// library multiplies them.
    func tile(
        _ product: TileGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutablePointer<Float>, thread: Int)
    /// Name and version of the library.
    var version: String { get }
}

extension MatmulBackend {
    func tile(
        _ product: TileGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutablePointer<Float>, thread: Int
    ) {
        precondition(product.type == .f32, "a tile of \(product.type)")
        gemm(
            GEMM(
                m: product.m, n: product.n, k: product.k, a: a.assumingMemoryBound(to: Float.self), aRow: product.aRow,
                b: b.assumingMemoryBound(to: Float.self), bRow: product.bRow, isTransposed: product.isTransposed,
                accumulate: product.accumulate, c: c, cRow: product.cRow))
    }
}
