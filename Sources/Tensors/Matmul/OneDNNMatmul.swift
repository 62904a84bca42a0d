#if OneDNN
    internal import COneDNN
    internal import COpenMP

    /// Large products with oneDNN (f32 and bf16); biases and activations are fused as post-ops.
    ///
    /// Primitives are created once per shape and kept with their memory objects; a call only sets pointers.
    final class OneDNNMatmul: MatmulBackend {
        private let engine: dnnl_engine_t
        private let stream: dnnl_stream_t
        private var linears = PrimitiveCache<LinearKey>()
        private var batches = PrimitiveCache<BatchedGEMM>()
        private var scratchpad = Buffer<UInt8>(count: 0)
        private let tiles: [ThreadTiles]
        private let threadPool: ThreadPool
        private let runsSmallOnOneThread: Bool

        /// Primitives by shape, created on first use.
        private struct PrimitiveCache<Shape: Hashable> {
            private var primitives: [Shape: MatmulPrimitive] = [:]
            /// Shapes depend on prompt lengths, which are unbounded: at this many primitives the cache is cleared.
            private let limit = 1024

            mutating func primitive(_ shape: Shape, _ make: () -> MatmulPrimitive) -> MatmulPrimitive {
                if let found = primitives[shape] { return found }
                let primitive = make()
                if primitives.count >= limit { removeAll() }
                primitives[shape] = primitive
                return primitive
            }

            mutating func removeAll() { primitives.removeAll() }
        }

        /// The primitives of one thread's tiles: several threads must not set the pointers of one primitive.
        private final class ThreadTiles {
            var primitives = PrimitiveCache<TileGEMM>()
            var scratchpad = Buffer<UInt8>(count: 0)
        }

        /// - Parameter runsSmallOnOneThread: compute small products on one thread. The library may sum them in a different order
        ///   than with several threads.
        init(threadPool: ThreadPool, runsSmallOnOneThread: Bool) throws {
            var engine: dnnl_engine_t?
            var stream: dnnl_stream_t?
            guard dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success, let engine,
                dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue) == dnnl_success, let stream
            else {
                throw ComputeError(code: .libraryFailed, message: "oneDNN found no CPU engine; use another backend")
            }
            self.engine = engine
            self.stream = stream
            self.threadPool = threadPool
            tiles = (0..<threadPool.threadCount).map { _ in ThreadTiles() }
            self.runsSmallOnOneThread = runsSmallOnOneThread
        }

        deinit {
            linears.removeAll()
            batches.removeAll()
            for thread in tiles { thread.primitives.removeAll() }
            dnnl_stream_destroy(stream)
            dnnl_engine_destroy(engine)
        }

        var version: String {
            guard let version = dnnl_version()?.pointee else { return "oneDNN" }
            return "oneDNN \(version.major).\(version.minor).\(version.patch)"
        }

        private struct LinearKey: Hashable {
            let rows: Int, inputs: Int, outputs: Int, inputStride: Int, outputStride: Int
            let inputType: DType, outputType: DType, activation: Activation
            let accumulate: Bool, bias: Bool
        }

        func linear(_ product: LinearProduct) {
            let weight = product.weight
            let key = LinearKey(
                rows: product.input.rows, inputs: weight.columns, outputs: weight.rows,
                inputStride: product.input.stride, outputStride: product.output.stride,
                inputType: product.input.type, outputType: product.output.type, activation: product.activation,
                accumulate: product.accumulate, bias: product.bias != nil)
            withThreads(for: product.input.rows * weight.columns * weight.rows) {
                let primitive = linears.primitive(key) { makeLinear(product) }
                scratchpad.reserve(primitive.scratchpadSize)
                primitive.execute(
                    stream, source: product.input.base, weights: weight.base,
                    bias: product.bias.map { UnsafeRawPointer($0) }, destination: product.output.base,
                    scratchpad: scratchpad.pointer)
            }
        }

        /// Runs `body`, a product of `operations` multiply-adds, with one thread if it is small, else with all threads.
        ///
        /// Divided by 4, because a core's vector units compute several multiply-adds at once.
        private func withThreads(for operations: Int, _ body: () -> Void) {
            let isSmall = runsSmallOnOneThread && operations / 4 < 2 * ThreadPool.leastWork
            if isSmall { omp_set_num_threads(1) }
            body()
            if isSmall { omp_set_num_threads(Int32(threadPool.threadCount)) }
        }

        func gemm(_ p: GEMM) {
            check(
                dnnl_sgemm(
                    CChar(UInt8(ascii: "N")), CChar(UInt8(ascii: p.isTransposed ? "T" : "N")), Int64(p.m), Int64(p.n),
                    Int64(p.k), 1, p.a, Int64(p.aRow), p.b, Int64(p.bRow), p.accumulate ? 1 : 0, p.c, Int64(p.cRow)))
        }

        func batchedGEMM(
            _ product: BatchedGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer
        ) {
            withThreads(for: product.groups * product.repeats * product.m * product.n * product.k) {
                let primitive = batches.primitive(product) { makeBatched(product) }
                scratchpad.reserve(primitive.scratchpadSize)
                primitive.execute(
                    stream, source: a, weights: b, bias: nil, destination: c, scratchpad: scratchpad.pointer)
            }
        }

        func tile(
            _ p: TileGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutablePointer<Float>, thread: Int
        ) {
            // A primitive is created for the threads that it will find.
            omp_set_num_threads(1)
            defer { omp_set_num_threads(Int32(threadPool.threadCount)) }
            guard p.type == .bf16 else {
                return gemm(
                    GEMM(
                        m: p.m, n: p.n, k: p.k, a: a.assumingMemoryBound(to: Float.self), aRow: p.aRow,
                        b: b.assumingMemoryBound(to: Float.self), bRow: p.bRow, isTransposed: p.isTransposed,
                        accumulate: p.accumulate, c: c, cRow: p.cRow))
            }
            let tiles = tiles[thread]
            let primitive = tiles.primitives.primitive(p) { makeTile(p) }
            tiles.scratchpad.reserve(primitive.scratchpadSize)
            primitive.execute(
                stream, source: a, weights: b, bias: nil, destination: c, scratchpad: tiles.scratchpad.pointer)
        }

        private func makeTile(_ p: TileGEMM) -> MatmulPrimitive {
            let (m, n, k) = (Int64(p.m), Int64(p.n), Int64(p.k))
            return MatmulPrimitive(
                engine: engine, source: .strided([m, k], p.type, [Int64(p.aRow), 1]),
                weights: .strided([k, n], p.type, p.isTransposed ? [1, Int64(p.bRow)] : [Int64(p.bRow), 1]),
                bias: nil, destination: .strided([m, n], .f32, [Int64(p.cRow), 1]), activation: .none,
                accumulate: p.accumulate)
        }

        private func makeLinear(_ product: LinearProduct) -> MatmulPrimitive {
            let rows = Int64(product.input.rows)
            let (inputs, outputs) = (Int64(product.weight.columns), Int64(product.weight.rows))
            return MatmulPrimitive(
                engine: engine,
                source: .strided([rows, inputs], product.input.type, [Int64(product.input.stride), 1]),
                weights: Self.layout(product.weight),
                bias: product.bias == nil ? nil : .strided([1, outputs], .f32, [outputs, 1]),
                destination: .strided([rows, outputs], product.output.type, [Int64(product.output.stride), 1]),
                activation: product.activation, accumulate: product.accumulate)
        }

        private func makeBatched(_ p: BatchedGEMM) -> MatmulPrimitive {
            func dims(_ values: Int...) -> [Int64] { values.map { Int64($0) } }
            return MatmulPrimitive(
                engine: engine,
                source: .strided(dims(p.groups, p.repeats, p.m, p.k), p.aType, dims(p.aGroup, p.aRepeat, p.aRow, 1)),
                weights: .strided(
                    dims(p.groups, 1, p.k, p.n), p.aType, dims(p.bGroup, p.k * p.n, p.bRow, p.bColumn)),
                bias: nil,
                destination: .strided(
                    dims(p.groups, p.repeats, p.m, p.n), p.cType, dims(p.cGroup, p.cRepeat, p.cRow, 1)),
                activation: .none, accumulate: false)
        }

        /// The checkpoint's layout: stored [out, in], passed to the product as a transposed [in, out].
        ///
        /// oneDNN's preferred layout would need a second copy in memory. Measured on the frame path's shapes, it is a
        /// quarter faster for the rows of one frame but only 4 % faster for four frames at once, which is how frames
        /// are computed.
        private static func layout(_ weight: Matrix) -> dnnl_memory_desc_t {
            .strided([Int64(weight.columns), Int64(weight.rows)], weight.type, [1, Int64(weight.columns)])
        }
    }
#endif
