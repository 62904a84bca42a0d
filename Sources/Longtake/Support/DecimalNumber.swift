/// A number as people write it: decimal digits, a point, an exponent; neither hexadecimal nor a word such as `inf` or `nan`.
public struct DecimalNumber: Sendable, LosslessStringConvertible {
    public let value: Double

    /// nil for anything else and for what is too large for a `Double`.
    public init?(_ text: String) {
        let isDecimal = text.utf8.allSatisfy {
            (48...57).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0)
        }
        guard isDecimal, let value = Double(text), value.isFinite else { return nil }
        self.value = value
    }

    public var description: String { "\(value)" }
}
