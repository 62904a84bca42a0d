extension Compute {
    /// Computes a small attention, for nothing.
    ///
    /// oneDNN writes the machine code of its strided products when the first one is computed: 20 ms, which another thread can
    /// spend while weights are loaded. Where there is no such library this is cheap.
    public static func warmUp(precision: WorkType, backend: Backend? = nil) {
        guard let compute = try? Compute(precision: precision, backend: backend, threads: 1) else { return }
        let (rows, shape) = (8, AttentionShape(heads: 2, keyValueHeads: 2, headSize: 32))
        let width = shape.heads * shape.headSize
        let memory = Buffer<Float>(count: 4 * rows * width)
        memory.pointer.update(repeating: 0, count: memory.count)
        func block(_ place: Int) -> Block {
            Block(
                UnsafeMutableRawPointer(memory.pointer + place * rows * width), type: precision, rows: rows,
                columns: width)
        }
        compute.attention(query: block(0), keys: block(1), values: block(2), shape: shape, into: block(3))
    }
}
