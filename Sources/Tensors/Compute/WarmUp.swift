import SystemCalls

/// Computes a small attention on a background thread and discards it, so that oneDNN generates code early.
///
/// oneDNN generates machine code at the first product: up to 20 ms, which this overlaps with loading weights. If no
/// thread can be started, the first product takes that long instead. Keep it as long as the model: deinit waits for the
/// thread, because the process must not exit while the library generates code.
public final class WarmUp {
    private let thread: BackgroundThread?

    /// Starts the computation in the background.
    public init(precision: DType, backend: Backend? = nil) {
        thread = try? BackgroundThread { WarmUp.compute(precision, backend) }
    }

    private static func compute(_ precision: DType, _ backend: Backend?) {
        guard let compute = try? Compute(precision: precision, backend: backend, threads: 1) else { return }
        let (rows, shape) = (8, AttentionShape(heads: 2, keyValueHeads: 2, headSize: 32))
        let width = shape.heads * shape.headSize
        let memory = Buffer<Float>(count: 4 * rows * width)
        memory.pointer.update(repeating: 0, count: memory.count)
        func part(_ index: Int) -> MatrixView {
            MatrixView(memory.pointer + index * rows * width, type: precision, rows: rows, columns: width)
        }
        compute.attention(
            sequences: 1, query: part(0), keys: part(1), values: part(2), shape: shape, mask: .causal(offset: 0),
            into: part(3))
    }
}
