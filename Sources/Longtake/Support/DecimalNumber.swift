/// A decimal number: digits, a point, an exponent; hexadecimal and names such as `inf` or `nan` are rejected.
package struct DecimalNumber: Sendable, LosslessStringConvertible {
    /// The parsed value.
    package let value: Double

    /// Parses a number; nil for other text and for values too large for a `Double`.
    package init?(_ text: String) {
        let isDecimal = text.utf8.allSatisfy {
            (48...57).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0)
        }
        guard isDecimal, let value = Double(text), value.isFinite else { return nil }
        self.value = value
    }

    /// The value as text.
    package var description: String { "\(value)" }
}
