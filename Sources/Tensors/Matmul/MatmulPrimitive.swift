#if OneDNN
    internal import COneDNN

    /// A oneDNN matmul primitive for one shape, with its memory objects.
    final class MatmulPrimitive {
        let scratchpadSize: Int  // bytes
        private let primitive: dnnl_primitive_t
        private var memories: [dnnl_memory_t] = []
        private var arguments: [dnnl_exec_arg_t] = []
        private let hasBias: Bool

        init(
            engine: dnnl_engine_t, source: dnnl_memory_desc_t, weights: dnnl_memory_desc_t, bias: dnnl_memory_desc_t?,
            destination: dnnl_memory_desc_t, activation: Activation, accumulate: Bool
        ) {
            var source = source
            var weights = weights
            var destination = destination
            var operation = dnnl_matmul_desc_t()
            if var bias {
                check(dnnl_matmul_desc_init(&operation, &source, &weights, &bias, &destination))
            } else {
                check(dnnl_matmul_desc_init(&operation, &source, &weights, nil, &destination))
            }
            hasBias = bias != nil

            var attributes: dnnl_primitive_attr_t?
            check(dnnl_primitive_attr_create(&attributes))
            defer { dnnl_primitive_attr_destroy(attributes) }
            check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user))
            var postOperations: dnnl_post_ops_t?
            check(dnnl_post_ops_create(&postOperations))
            defer { dnnl_post_ops_destroy(postOperations) }
            switch activation {
            case .none: break
            case .quickGELU: check(dnnl_post_ops_append_eltwise(postOperations, 1, dnnl_eltwise_swish, 1.702, 0))
            case .gelu: check(dnnl_post_ops_append_eltwise(postOperations, 1, dnnl_eltwise_gelu_erf, 0, 0))
            }
            if accumulate { check(dnnl_post_ops_append_sum(postOperations, 1)) }
            check(dnnl_primitive_attr_set_post_ops(attributes, postOperations))

            var description: dnnl_primitive_desc_t?
            check(dnnl_primitive_desc_create(&description, &operation, attributes, engine, nil))
            defer { dnnl_primitive_desc_destroy(description) }
            let scratch = query(description, dnnl_query_scratchpad_md)
            var scratchCopy = scratch
            scratchpadSize = Int(dnnl_memory_desc_get_size(&scratchCopy))
            var made: dnnl_primitive_t?
            check(dnnl_primitive_create(&made, description))
            guard let made else { preconditionFailure("oneDNN returned no primitive") }
            primitive = made

            var slots: [(Int32, dnnl_memory_desc_t)] = [
                (DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DST, destination),
                (DNNL_ARG_SCRATCHPAD, scratch),
            ]
            if let bias { slots.append((DNNL_ARG_BIAS, bias)) }
            for (argument, layout) in slots {
                var layout = layout
                var memory: dnnl_memory_t?
                check(dnnl_memory_create(&memory, &layout, engine, nil))
                guard let memory else { preconditionFailure("oneDNN returned no memory object") }
                memories.append(memory)
                arguments.append(dnnl_exec_arg_t(arg: argument, memory: memory))
            }
        }

        deinit {
            for memory in memories { dnnl_memory_destroy(memory) }
            dnnl_primitive_destroy(primitive)
        }

        /// Computes the product with these buffers and waits for it.
        func execute(
            _ stream: dnnl_stream_t, source: UnsafeRawPointer, weights: UnsafeRawPointer, bias: UnsafeRawPointer?,
            destination: UnsafeMutableRawPointer, scratchpad: UnsafeMutablePointer<UInt8>
        ) {
            dnnl_memory_set_data_handle(memories[0], UnsafeMutableRawPointer(mutating: source))
            dnnl_memory_set_data_handle(memories[1], UnsafeMutableRawPointer(mutating: weights))
            dnnl_memory_set_data_handle(memories[2], destination)
            dnnl_memory_set_data_handle(memories[3], UnsafeMutableRawPointer(scratchpad))
            if hasBias, let bias { dnnl_memory_set_data_handle(memories[4], UnsafeMutableRawPointer(mutating: bias)) }
            check(dnnl_primitive_execute(primitive, stream, Int32(arguments.count), arguments))
            check(dnnl_stream_wait(stream))
        }
    }

    extension dnnl_memory_desc_t {
        static func strided(_ dims: [Int64], _ type: DType, _ strides: [Int64]) -> dnnl_memory_desc_t {
            var description = dnnl_memory_desc_t()
            check(dnnl_memory_desc_init_by_strides(&description, Int32(dims.count), dims, type.oneDNN, strides))
            return description
        }
    }

    extension DType {
        var oneDNN: dnnl_data_type_t {
            precondition(self == .f32 || self == .bf16, "\(self) is not a compute type")
            return self == .f32 ? dnnl_f32 : dnnl_bf16
        }
    }

    private func query(_ description: dnnl_primitive_desc_t?, _ what: dnnl_query_t) -> dnnl_memory_desc_t {
        dnnl_primitive_desc_query_md(description, what, 0)?.pointee ?? dnnl_memory_desc_t()
    }

    /// Traps on a oneDNN error: it fails only for shapes that this library must not pass, never because of input.
    func check(_ status: dnnl_status_t, line: UInt = #line) {
        precondition(status == dnnl_success, "oneDNN status \(status.rawValue) at line \(line)")
    }
#endif
