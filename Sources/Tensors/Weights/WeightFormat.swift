/// The storage of quantized weights; sums of products with them are exact integers.
public enum WeightFormat: String, Sendable, Codable, CaseIterable {
    /// One byte per weight, −128...127, and one f32 scale per output.
    case int8
    /// One byte per weight, −128...127, and one f32 scale per output and `inputGroup` inputs.
    case int8Groups = "int8 groups"
    /// Half a byte per weight, 0...15, and a bf16 scale and minimum per output and `groupSize` inputs.
    case int4

    /// Inputs that share a scale and a minimum in int4.
    public static let groupSize = 32
    /// Inputs that share a scale in `int8Groups`, and scales of quantized activations of a language model in int8.
    public static let inputGroup = 64

    /// Inputs that share a scale; nil: all of a row.
    public var group: Int? {
        switch self {
        case .int8: nil
        case .int8Groups: Self.inputGroup
        case .int4: Self.groupSize
        }
    }

    /// The bits of a weight: `int8` or `int4`.
    public var name: String { isInt8 ? Self.int8.rawValue : rawValue }

    /// True for one byte per weight.
    public var isInt8: Bool { self != .int4 }
}
