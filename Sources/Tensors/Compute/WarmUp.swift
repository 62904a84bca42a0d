/// Computes a small attention on a thread of its own, for nothing.
///
/// oneDNN writes the machine code of its products when the first one is computed: up to 20 ms, which pass while another thread
/// loads weights. Where no thread can be started the first product takes that long, as it would have. To be kept as long as the
/// model: who lets go of it waits for its end, for nobody may leave the program while the library writes its code.
public final class WarmUp {
    private let thread: BackgroundThread?

    public init(precision: DType, backend: Backend? = nil) {
        thread = BackgroundThread { WarmUp.compute(precision, backend) }
    }

    private static func compute(_ precision: DType, _ backend: Backend?) {
        guard let compute = try? Compute(precision: precision, backend: backend, threads: 1) else { return }
        let (rows, shape) = (8, AttentionShape(heads: 2, keyValueHeads: 2, headSize: 32))
        let width = shape.heads * shape.headSize
        let memory = Buffer<Float>(count: 4 * rows * width)
        memory.pointer.update(repeating: 0, count: memory.count)
        func block(_ place: Int) -> MatrixView {
            MatrixView(memory.pointer + place * rows * width, type: precision, rows: rows, columns: width)
        }
        compute.attention(
            sequences: 1, query: block(0), keys: block(1), values: block(2), shape: shape, firstVisible: 1,
            into: block(3))
    }
}
