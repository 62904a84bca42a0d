/// The storage of quantized weights; sums of products with them are exact integers.
public enum WeightFormat: String, Sendable, Codable, CaseIterable {
    /// One byte per weight, −128...127, and one f32 scale per output.
    case int8
    /// Half a byte per weight, 0...15, and a bf16 scale and minimum per output and `groupSize` inputs.
    case int4

    /// Inputs that share a scale and a minimum in int4.
    public static let groupSize = 32
}
