internal import CKernels

/// The element type of a tensor: f32 and bf16 in computation, all of them in checkpoints.
///
/// Raw values are the names in settings, reports and index keys; `safetensorsName` is the name in a checkpoint.
public enum DType: String, Sendable, Codable, CaseIterable {
    case bool
    case u8
    case i8
    case f8e5m2 = "f8_e5m2"
    case f8e4m3 = "f8_e4m3"
    case i16
    case u16
    case f16
    case bf16
    case i32
    case u32
    case f32
    case f64
    case i64
    case u64

    /// The types that `Compute` computes in: f32 for parity with the reference, bf16 for weights stored in bf16.
    public static let computeTypes: [DType] = [.f32, .bf16]

    private static let bySafetensorsName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.safetensorsName, $0) })

    /// The type with this dtype name of the safetensors format, for example "BF16"; nil if the name is unknown.
    public init?(safetensorsName name: String) {
        guard let type = Self.bySafetensorsName[name] else { return nil }
        self = type
    }

    /// The dtype name of the safetensors format, for example "BF16" or "F8_E4M3".
    public var safetensorsName: String { rawValue.uppercased() }

    /// Bytes per element.
    public var size: Int {
        switch self {
        case .bool, .u8, .i8, .f8e5m2, .f8e4m3: 1
        case .i16, .u16, .f16, .bf16: 2
        case .i32, .u32, .f32: 4
        case .f64, .i64, .u64: 8
        }
    }

    /// The kernels' name of the type; traps for a type that they do not compute.
    var kernel: lt_dtype {
        precondition(self == .f32 || self == .bf16, "\(self) is not a compute type")
        return self == .f32 ? LT_F32 : LT_BF16
    }

    /// The kernels' name of a type of cached keys and values: a compute type or i8.
    var keyValueKernel: lt_dtype { self == .i8 ? LT_I8 : kernel }
}
