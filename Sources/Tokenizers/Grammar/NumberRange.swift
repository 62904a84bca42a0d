/// Decimal numbers in a range, with a limited number of digits: `-12`, `0.5`; no exponent, no leading zeros, no `-0`.
///
/// A state is what was read (sign, part, digits) and the digits as one number. It is alive only if more digits can lead
/// into the range.
package struct NumberRange: Sendable, Hashable {
    /// Most digits after the point; 0: whole numbers.
    package let decimals: Int
    /// Most digits before it.
    package let digits: Int
    /// The smallest and the largest number, times 10^`decimals`.
    package let low: Int64
    package let high: Int64

    /// Whole numbers of at most 15 digits.
    private static let wholeDigits = 15
    /// Numbers of at most 12 digits before and 6 after the point.
    private static let realDigits = (whole: 12, decimals: 6)

    /// What the limits of numbers that are not whole are multiplied with: 10^6.
    package static let scale = 1_000_000

    /// The numbers from `low` to `high`, both times 10^`decimals`; nil if there is none.
    package init?(isWhole: Bool, low: Int64 = .min, high: Int64 = .max) {
        decimals = isWhole ? 0 : Self.realDigits.decimals
        digits = isWhole ? Self.wholeDigits : Self.realDigits.whole
        let largest = Self.power(digits + decimals) - 1
        (self.low, self.high) = (max(low, -largest), min(high, largest))
        guard fewestBytes(0, 0) != nil else { return nil }
    }

    /// Most bytes of a number.
    var mostBytes: Int { 1 + digits + (decimals > 0 ? 1 + decimals : 0) }

    private enum Part: Int32 { case start, sign, zero, whole, point, fraction }

    /// A state's count, unpacked: the part, the sign, and the digits read of the part.
    private struct Position {
        var part: Part
        var isNegative: Bool
        var digits: Int

        init(_ part: Part, isNegative: Bool, digits: Int = 0) {
            (self.part, self.isNegative, self.digits) = (part, isNegative, digits)
        }

        init(_ count: Int32) {
            part = Part(rawValue: count & 7) ?? .start
            isNegative = count & 8 != 0
            digits = Int(count >> 4)
        }

        var count: Int32 { part.rawValue | (isNegative ? 8 : 0) | Int32(digits) << 4 }
    }

    /// The state after one more byte; nil if it cannot lead to a number in the range.
    func next(_ count: Int32, _ value: Int64, _ byte: UInt8) -> (Int32, Int64)? {
        let at = Position(count)
        var after: Position
        var number = value
        switch (at.part, byte) {
        case (.start, UInt8(ascii: "-")): after = Position(.sign, isNegative: true)
        case (.start, UInt8(ascii: "0")), (.sign, UInt8(ascii: "0")):
            after = Position(.zero, isNegative: at.isNegative)
        case (.start, 0x30...0x39), (.sign, 0x30...0x39), (.whole, 0x30...0x39):
            guard at.digits < digits else { return nil }
            after = Position(.whole, isNegative: at.isNegative, digits: at.digits + 1)
            number = value * 10 + Int64(byte - 0x30)
        case (.zero, UInt8(ascii: ".")), (.whole, UInt8(ascii: ".")):
            guard decimals > 0 else { return nil }
            after = Position(.point, isNegative: at.isNegative)
        case (.point, 0x30...0x39), (.fraction, 0x30...0x39):
            guard at.digits < decimals else { return nil }
            after = Position(.fraction, isNegative: at.isNegative, digits: at.digits + 1)
            number = value * 10 + Int64(byte - 0x30)
        default: return nil
        }
        guard fewestBytes(after.count, number) != nil else { return nil }
        return (after.count, number)
    }

    /// True if what was read is a number in the range.
    func isComplete(_ count: Int32, _ value: Int64) -> Bool { fewestBytes(count, value) == 0 }

    /// Fewest bytes that complete a number in the range; nil if none do.
    func fewestBytes(_ count: Int32, _ value: Int64) -> Int? {
        let at = Position(count)
        switch at.part {
        case .start:
            let negative = fewestDigits(isNegative: true).map { $0 + 1 }
            return [fewestDigits(isNegative: false), negative].compactMap(\.self).min()
        case .sign: return fewestDigits(isNegative: at.isNegative)
        case .zero: return fewest(0...0, isNegative: at.isNegative)
        case .whole:
            var best: Int?
            for more in 0...digits - at.digits where more < best ?? .max {
                let power = Self.power(more)
                let own = fewest(value * power...value * power + power - 1, isNegative: at.isNegative)
                best = [best, own.map { $0 + more }].compactMap(\.self).min()
            }
            return best
        case .point: return fewestFraction(value, read: 0, least: 1, isNegative: at.isNegative)
        case .fraction: return fewestFraction(value, read: at.digits, least: 0, isNegative: at.isNegative)
        }
    }

    /// The same where no digit was read yet.
    private func fewestDigits(isNegative: Bool) -> Int? {
        var best = fewest(0...0, isNegative: isNegative).map { $0 + 1 }
        for count in 1...digits where count < best ?? .max {
            let own = fewest(Self.power(count - 1)...Self.power(count) - 1, isNegative: isNegative)
            best = [best, own.map { $0 + count }].compactMap(\.self).min()
        }
        return best
    }

    /// Bytes after a whole part that is one of `whole`: none, or a point and a fraction.
    private func fewest(_ whole: ClosedRange<Int64>, isNegative: Bool) -> Int? {
        let scale = Self.power(decimals)
        if contains(whole.lowerBound * scale, whole.upperBound * scale, step: scale, isNegative: isNegative) {
            return 0
        }
        return (0...decimals).dropFirst().first { count in
            let step = Self.power(decimals - count)
            return contains(
                whole.lowerBound * scale, (whole.upperBound + 1) * scale - step, step: step, isNegative: isNegative)
        }.map { $0 + 1 }
    }

    /// Digits after those of a fraction that were read.
    private func fewestFraction(_ value: Int64, read: Int, least: Int, isNegative: Bool) -> Int? {
        (0...decimals - read).dropFirst(least).first { more in
            let step = Self.power(decimals - read - more)
            let scale = Self.power(decimals - read)
            return contains(value * scale, (value + 1) * scale - step, step: step, isNegative: isNegative)
        }
    }

    /// True if a multiple of `step` in `smallest...largest`, with the sign, is in the range.
    private func contains(_ smallest: Int64, _ largest: Int64, step: Int64, isNegative: Bool) -> Bool {
        let (from, to) =
            isNegative ? (max(smallest, -high, 1), min(largest, -low)) : (max(smallest, low), min(largest, high))
        return from <= to && (from + step - 1) / step * step <= to
    }

    private static let powers = (0...18).map { exponent in (0..<exponent).reduce(Int64(1)) { value, _ in value * 10 } }
    private static func power(_ exponent: Int) -> Int64 { powers[exponent] }
}
