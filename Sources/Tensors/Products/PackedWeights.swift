#if OneDNN
    internal import COneDNN
    internal import Glibc

    /// A copy of a matrix in the layout oneDNN prefers.
    final class PackedWeights {
        let layout: dnnl_memory_desc_t
        private let buffer: Buffer<UInt8>
        var pointer: UnsafeMutablePointer<UInt8> { buffer.pointer }

        init(
            from source: UnsafeRawPointer, in plain: dnnl_memory_desc_t, to layout: dnnl_memory_desc_t,
            engine: dnnl_engine_t, stream: dnnl_stream_t
        ) {
            self.layout = layout
            var plain = plain
            var target = layout
            buffer = Buffer(count: Int(dnnl_memory_desc_get_size(&target)))
            var description: dnnl_primitive_desc_t?
            check(dnnl_reorder_primitive_desc_create(&description, &plain, engine, &target, engine, nil))
            defer { dnnl_primitive_desc_destroy(description) }
            var primitive: dnnl_primitive_t?
            check(dnnl_primitive_create(&primitive, description))
            defer { dnnl_primitive_destroy(primitive) }
            var from: dnnl_memory_t?
            var to: dnnl_memory_t?
            check(dnnl_memory_create(&from, &plain, engine, UnsafeMutableRawPointer(mutating: source)))
            check(dnnl_memory_create(&to, &target, engine, UnsafeMutableRawPointer(buffer.pointer)))
            defer {
                dnnl_memory_destroy(from)
                dnnl_memory_destroy(to)
            }
            let arguments = [
                dnnl_exec_arg_t(arg: DNNL_ARG_FROM, memory: from), dnnl_exec_arg_t(arg: DNNL_ARG_TO, memory: to),
            ]
            check(dnnl_primitive_execute(primitive, stream, 2, arguments))
            check(dnnl_stream_wait(stream))
        }
    }
#else
    /// OpenBLAS has no layout of its own.
    final class PackedWeights {}
#endif
