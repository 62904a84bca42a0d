internal import Tensors

/// The names that a pickle of weights may refer to; all others are refused.
///
/// Source: `torch._utils` and `torch.storage` of PyTorch 1.6 to 2.15.
enum PickleGlobal: Equatable {
    /// `collections.OrderedDict`, called without arguments.
    case orderedDictionary
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    case rebuildTensor
    /// `torch._utils._rebuild_tensor_v3`: the same with a type at the end.
    case rebuildTensorOfType
    /// `torch._utils._rebuild_parameter(tensor, requires_grad, hooks)`.
    case rebuildParameter
    /// A storage class; nil for bytes, whose tensors have a type.
    case storage(DType?)
    /// A `torch.dtype`.
    case type(DType)

    /// The global of this name; nil if it is not on the list.
    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensorOfType
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"): self = .storage(nil)
        case ("torch", _):
            if let type = Self.storageTypes[name] {
                self = .storage(type)
            } else if let type = Self.types[name] {
                self = .type(type)
            } else {
                return nil
            }
        default: return nil
        }
    }

    private static let storageTypes: [String: DType] = [
        "DoubleStorage": .f64, "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16,
        "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8, "ByteStorage": .u8,
        "BoolStorage": .bool,
    ]

    private static let types: [String: DType] = [
        "float64": .f64, "float32": .f32, "float16": .f16, "bfloat16": .bf16, "float8_e4m3fn": .f8e4m3,
        "float8_e5m2": .f8e5m2, "int64": .i64, "int32": .i32, "int16": .i16, "int8": .i8, "uint64": .u64,
        "uint32": .u32, "uint16": .u16, "uint8": .u8, "bool": .bool,
    ]
}
