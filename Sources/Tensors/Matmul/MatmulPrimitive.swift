#if OneDNN
    internal import COneDNN

    /// A oneDNN matmul primitive for one shape, with its memory objects (oneDNN 2.x API).
    ///
    /// destination = act(source · weights + bias), or destination += source · weights + bias.
    final class MatmulPrimitive {
        /// Bytes of scratch memory that `execute` needs.
        let scratchpadSize: Int
        private let primitive: dnnl_primitive_t
        /// Source, weights, destination, scratchpad and, if there is one, bias: in this order.
        private var memories: [dnnl_memory_t] = []
        private var arguments: [dnnl_exec_arg_t] = []
        private let hasBias: Bool

        /// - Parameter accumulate: adds to the destination; oneDNN adds after `activation`, which must then be `.none`.
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

            var descriptor: dnnl_primitive_desc_t?
            check(dnnl_primitive_desc_create(&descriptor, &operation, attributes, engine, nil))
            defer { dnnl_primitive_desc_destroy(descriptor) }
            var scratchpad = memoryDescriptor(descriptor, dnnl_query_scratchpad_md)
            scratchpadSize = Int(dnnl_memory_desc_get_size(&scratchpad))
            var created: dnnl_primitive_t?
            check(dnnl_primitive_create(&created, descriptor))
            guard let created else { preconditionFailure("oneDNN returned no primitive") }
            primitive = created

            // `execute` sets the memory pointers by index, in this order.
            var layouts: [(Int32, dnnl_memory_desc_t)] = [
                (DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DST, destination),
                (DNNL_ARG_SCRATCHPAD, scratchpad),
            ]
            if let bias { layouts.append((DNNL_ARG_BIAS, bias)) }
            for (argument, layout) in layouts {
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

        /// Computes the product with these buffers and waits for it; `scratchpad` has at least `scratchpadSize` bytes.
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
        /// A tensor with these dimensions, outermost first; strides in elements.
        static func strided(_ dims: [Int64], _ type: DType, _ strides: [Int64]) -> dnnl_memory_desc_t {
            var descriptor = dnnl_memory_desc_t()
            check(dnnl_memory_desc_init_by_strides(&descriptor, Int32(dims.count), dims, type.oneDNN, strides))
            return descriptor
        }
    }

    extension DType {
        /// The type's oneDNN constant; traps unless f32 or bf16.
        var oneDNN: dnnl_data_type_t {
            precondition(self == .f32 || self == .bf16, "\(self) is not a compute type")
            return self == .f32 ? dnnl_f32 : dnnl_bf16
        }
    }

    /// The memory descriptor that `query` asks for; of size 0 if the primitive has none.
    private func memoryDescriptor(_ descriptor: dnnl_primitive_desc_t?, _ query: dnnl_query_t) -> dnnl_memory_desc_t {
        dnnl_primitive_desc_query_md(descriptor, query, 0)?.pointee ?? dnnl_memory_desc_t()
    }

    /// Traps on a oneDNN error: a wrong shape, which is a bug here and never due to input, or no memory.
    func check(_ status: dnnl_status_t, file: StaticString = #fileID, line: UInt = #line) {
        precondition(status == dnnl_success, "oneDNN status \(status.rawValue) (dnnl_status_t) at \(file):\(line)")
    }
#endif
