// Conversions from floating point to integers. Every target has this file (a link to Sources/Shared), because a
// declaration shadows the standard library's only inside its own module.

extension FixedWidthInteger {
    /// Rounds `value` toward zero and clamps it to the type's range; NaN becomes 0.
    init(saturating value: some BinaryFloatingPoint) {
        let whole = value.rounded(.towardZero)
        self = Self(exactly: whole) ?? (whole.isNaN ? 0 : whole < 0 ? .min : .max)
    }
}

// `Int(x)` traps if a floating-point x is out of range. With warnings as errors, these declarations make the compiler
// reject it; `Int(exactly:)` and `Int(saturating:)` state what happens out of range.

extension Int {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension Int64 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension Int32 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension Int16 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension Int8 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension UInt {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension UInt64 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension UInt32 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension UInt16 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}

extension UInt8 {
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Double) { self.init(saturating: value) }
    @available(*, deprecated, message: "traps out of range: use init(exactly:) or init(saturating:)")
    init(_ value: Float) { self.init(saturating: value) }
}
