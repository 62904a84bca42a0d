#if OneDNN
    internal import COneDNN

    /// oneDNN's own product of u8 activations and s8 weights, in the layout it prefers; only to measure its speed.
    final class Int8Peak {
        private let engine: dnnl_engine_t
        private let stream: dnnl_stream_t
        private let primitive: dnnl_primitive_t
        private var memories: [dnnl_memory_t] = []
        private var arguments: [dnnl_exec_arg_t] = []
        private var buffers: [Memory] = []

        private final class Memory {
            let buffer: Buffer<UInt8>
            init(count: Int) { buffer = Buffer(count: count) }
        }

        /// Nil if the library has no such product.
        init?(rows: Int, inputs: Int, outputs: Int) {
            var (engine, stream): (dnnl_engine_t?, dnnl_stream_t?)
            guard dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success, let engine,
                dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue) == dnnl_success, let stream
            else { return nil }
            var (source, weights, destination) = (
                dnnl_memory_desc_t(), dnnl_memory_desc_t(), dnnl_memory_desc_t()
            )
            let (m, n, k) = (Int64(rows), Int64(outputs), Int64(inputs))
            check(dnnl_memory_desc_init_by_tag(&source, 2, [m, k], dnnl_u8, dnnl_ab))
            check(dnnl_memory_desc_init_by_tag(&weights, 2, [k, n], dnnl_s8, dnnl_format_tag_any))
            check(dnnl_memory_desc_init_by_tag(&destination, 2, [m, n], dnnl_f32, dnnl_ab))
            var matmul = dnnl_matmul_desc_t()
            check(dnnl_matmul_desc_init(&matmul, &source, &weights, nil, &destination))
            var descriptor: dnnl_primitive_desc_t?
            guard dnnl_primitive_desc_create(&descriptor, &matmul, nil, engine, nil) == dnnl_success else { return nil }
            defer { dnnl_primitive_desc_destroy(descriptor) }
            var primitive: dnnl_primitive_t?
            check(dnnl_primitive_create(&primitive, descriptor))
            guard let primitive, let packed = dnnl_primitive_desc_query_md(descriptor, dnnl_query_weights_md, 0) else {
                return nil
            }
            self.engine = engine
            self.stream = stream
            self.primitive = primitive
            weights = packed.pointee
            for (argument, layout) in [
                (DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DST, destination),
            ] {
                var layout = layout
                let bytes = Memory(count: dnnl_memory_desc_get_size(&layout))
                bytes.buffer.pointer.update(repeating: 1, count: bytes.buffer.count)
                var memory: dnnl_memory_t?
                check(dnnl_memory_create(&memory, &layout, engine, UnsafeMutableRawPointer(bytes.buffer.pointer)))
                guard let memory else { preconditionFailure("oneDNN returned no memory object") }
                buffers.append(bytes)
                memories.append(memory)
                arguments.append(dnnl_exec_arg_t(arg: argument, memory: memory))
            }
        }

        deinit {
            for memory in memories { dnnl_memory_destroy(memory) }
            dnnl_primitive_destroy(primitive)
            dnnl_stream_destroy(stream)
            dnnl_engine_destroy(engine)
        }

        /// Computes the product once, on all threads.
        func run() {
            check(dnnl_primitive_execute(primitive, stream, Int32(arguments.count), arguments))
            check(dnnl_stream_wait(stream))
        }
    }
#endif
