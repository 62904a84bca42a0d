internal import CKernels

/// Products with bf16 operands that the library or the CPU cannot multiply: upcasts them to f32, then multiplies.
///
/// bf16 results are rounded from the f32 sums. Weights stay in memory as stored: a 16 GB model needs no 32 GB f32 copy.
/// Each thread upcasts and multiplies its own panels of weight rows, so threads synchronize once per product, and once
/// more to upcast a bf16 input.
///
/// Letters: T rows of the input. The `/ 4` in costs: a core's vector units compute several multiply-adds at once.
final class UpcastingMatmul: MatmulBackend {
    private let library: any MatmulBackend
    private let kernels: Kernels
    private let threadPool: ThreadPool
    /// The f32 copy of a bf16 input, [T, in].
    private let upcastInput = Scratch()
    private let threadScratch: [ThreadScratch]
    /// Approximate maximum size, in bytes, of a thread's f32 panel (weight rows upcast together).
    private static let panelBytes = 16 << 20
    /// Up to this many rows of input, bf16 weights are multiplied as stored (`gemm_bf16`).
    private static let fewRows = 64

    /// Scratch memory of one thread.
    private struct ThreadScratch {
        let left = Scratch()  // a of a batched product, [m, k]
        let right = Scratch()  // a panel [rows, in], or b of a batched product
        let sums = Scratch()  // results before rounding to bf16
    }

    /// - Parameter library: an f32 backend; several threads may call it at once.
    init(_ library: any MatmulBackend, kernels: Kernels, threadPool: ThreadPool) {
        self.library = library
        self.kernels = kernels
        self.threadPool = threadPool
        threadScratch = (0..<threadPool.threadCount).map { _ in ThreadScratch() }
    }

    var version: String { library.version }

    func gemm(_ product: GEMM) { library.gemm(product) }

    func tile(
        _ product: TileGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutablePointer<Float>, thread: Int
    ) { library.tile(product, a: a, b: b, c: c, thread: thread) }

    func linear(_ product: LinearProduct) {
        let (weight, output) = (product.weight, product.output)
        guard weight.type == .bf16 else { return library.linear(product) }
        let x =
            product.input.type == .f32
            ? product.input
            : upcastInput.matrix(.f32, rows: output.rows, columns: weight.columns)
        if product.input.type == .bf16 {
            threadPool.parallelFor(x.rows, cost: x.columns) { upcast(product.input.rows($0), into: x.rows($0)) }
        }
        if x.rows <= Self.fewRows { return multiplyFew(x, product) }
        let minimumPanels = (weight.rows * weight.columns * 4 + Self.panelBytes - 1) / Self.panelBytes
        // A multiple of the thread count, so that each thread gets the same number of panels of nearly equal size.
        let threads = threadScratch.count
        let panels = min(weight.rows, (minimumPanels + threads - 1) / threads * threads)
        threadPool.parallelFor(panels, cost: x.rows * x.columns * weight.rows / panels / 4) { range in
            for panel in range {
                multiply(
                    x, weight.rows * panel / panels..<weight.rows * (panel + 1) / panels, product,
                    threadScratch[ThreadPool.index])
            }
        }
    }

    /// Computes the outputs `range` of a linear layer from x [T, in], upcasting their weight rows.
    private func multiply(_ x: MatrixView, _ range: Range<Int>, _ product: LinearProduct, _ scratch: ThreadScratch) {
        let output = product.output.columns(range)
        let panel = scratch.right.matrix(.f32, rows: range.count, columns: x.columns)
        upcast(product.weight.view.rows(range), into: panel)
        let sums = output.type == .f32 ? output : scratch.sums.matrix(.f32, rows: output.rows, columns: range.count)
        library.gemm(
            GEMM(
                m: x.rows, n: range.count, k: x.columns, a: x.floats, aRow: x.stride, b: panel.floats,
                bRow: panel.stride, isTransposed: true, accumulate: product.accumulate, c: sums.floats,
                cRow: sums.stride))
        finish(sums, range, product)
    }

    /// Computes a linear layer of few rows from the bf16 weights as stored: upcasting them would be most of the work.
    private func multiplyFew(_ x: MatrixView, _ product: LinearProduct) {
        let (weight, output) = (product.weight, product.output)
        threadPool.parallelFor(weight.rows, cost: x.rows * x.columns / 4) { range in
            let scratch = threadScratch[ThreadPool.index]
            let sums =
                output.type == .f32
                ? output.columns(range) : scratch.sums.matrix(.f32, rows: output.rows, columns: range.count)
            kernels.table.gemm_bf16(
                weight.view.row(range.lowerBound).assumingMemoryBound(to: UInt16.self), weight.columns, x.floats,
                x.stride, x.rows, product.accumulate ? 1 : 0, range.count, weight.columns, sums.floats, sums.stride)
            finish(sums, range, product)
        }
    }

    /// Applies bias and activation to the sums of the outputs `range` and rounds them to the output type.
    private func finish(_ sums: MatrixView, _ range: Range<Int>, _ product: LinearProduct) {
        if product.bias != nil || product.activation != .none {
            kernels.table.bias_activation(
                sums.floats, sums.stride, product.bias.map { $0 + range.lowerBound }, product.activation.kernel,
                sums.rows, sums.columns)
        }
        if product.output.type == .bf16 { downcast(sums, into: product.output.columns(range)) }
    }

    func batchedGEMM(_ product: BatchedGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer) {
        let p = product
        // b has the type of a.
        guard p.aType == .bf16 else { return library.batchedGEMM(p, a: a, b: b, c: c) }
        threadPool.parallelFor(p.groups, cost: p.repeats * p.m * p.n * p.k / 4) { range in
            for group in range { multiply(group, p, a, b, c, threadScratch[ThreadPool.index]) }
        }
    }

    /// Computes the products of one group; b is upcast once for all repeats.
    private func multiply(
        _ group: Int, _ p: BatchedGEMM, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer,
        _ scratch: ThreadScratch
    ) {
        // b [k, n] is upcast in its storage order; if consecutive rows are 1 element apart, it is stored as [n, k].
        let isTransposed = p.bRow == 1
        let (rows, columns, stride) = isTransposed ? (p.n, p.k, p.bColumn) : (p.k, p.n, p.bRow)
        let right = scratch.right.matrix(.f32, rows: rows, columns: columns)
        upcast(view(b + group * p.bGroup * DType.bf16.size, .bf16, rows, columns, stride), into: right)
        for index in 0..<p.repeats {
            let left = scratch.left.matrix(.f32, rows: p.m, columns: p.k)
            let source = a + (group * p.aGroup + index * p.aRepeat) * DType.bf16.size
            upcast(view(source, .bf16, p.m, p.k, p.aRow), into: left)
            let out = view(c + (group * p.cGroup + index * p.cRepeat) * p.cType.size, p.cType, p.m, p.n, p.cRow)
            let sums = p.cType == .f32 ? out : scratch.sums.matrix(.f32, rows: p.m, columns: p.n)
            library.gemm(
                GEMM(
                    m: p.m, n: p.n, k: p.k, a: left.floats, aRow: left.stride, b: right.floats, bRow: right.stride,
                    isTransposed: isTransposed, accumulate: false, c: sums.floats, cRow: sums.stride))
            if p.cType == .bf16 { downcast(sums, into: out) }
        }
    }

    private func view(_ base: UnsafeRawPointer, _ type: DType, _ rows: Int, _ columns: Int, _ stride: Int) -> MatrixView
    {
        MatrixView(UnsafeMutableRawPointer(mutating: base), type: type, rows: rows, columns: columns, stride: stride)
    }

    private func upcast(_ matrix: MatrixView, into out: MatrixView) {
        for row in 0..<matrix.rows {
            kernels.table.bf16_to_f32(
                matrix.row(row).assumingMemoryBound(to: UInt16.self), out.row(row).assumingMemoryBound(to: Float.self),
                matrix.columns)
        }
    }

    private func downcast(_ matrix: MatrixView, into out: MatrixView) {
        for row in 0..<matrix.rows {
            kernels.table.f32_to_bf16(
                matrix.row(row).assumingMemoryBound(to: Float.self), out.row(row).assumingMemoryBound(to: UInt16.self),
                matrix.columns)
        }
    }
}
