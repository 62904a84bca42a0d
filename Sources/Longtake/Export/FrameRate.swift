internal import Foundation

/// A frame rate in an editor's notation: 25, 23.976, 29.97 or 30000/1001.
///
/// 23.976, 23.98, 29.97, 47.95 and 59.94 stand for n * 1000 / 1001 (SMPTE ST 12-1).
package struct FrameRate: Sendable, Equatable {
    /// Frames in `denominator` seconds.
    package let numerator: Int
    /// Seconds, 1 for whole rates and 1001 for NTSC ones.
    package let denominator: Int

    /// The rates that are accepted, in frames per second.
    package static let accepted = 1.0...1000

    /// Parses a rate; nil for a text that is not a rate from 1 to 1000.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2 {
            guard let over = Self.whole(parts[0]), let under = Self.whole(parts[1]), under > 0 else { return nil }
            let common = Self.divisor(over, under)
            (numerator, denominator) = (over / common, under / common)
        } else {
            guard parts.count == 1, text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
                let value = Double(text), Self.accepted.contains(value)
            else { return nil }
            (numerator, denominator) = Self.ratio(value)
        }
        guard Self.accepted.contains(value) else { return nil }
    }

    /// The nearest accepted rate.
    package init(_ value: Double) {
        let (low, high) = (Self.accepted.lowerBound, Self.accepted.upperBound)
        (numerator, denominator) = Self.ratio(value.isNaN ? low : min(max(value, low), high))
    }

    /// Frames per second.
    package var value: Double { Double(numerator) / Double(denominator) }

    /// Frame labels per second of time code: 24 at 23.976.
    package var nominal: Int { (numerator + denominator - 1) / denominator }

    /// True for 1000 / 1001 of a whole rate.
    package var isNTSC: Bool { denominator == 1001 && numerator % 1000 == 0 }

    /// Whether time code skips labels to keep up with the clock: at 29.97 and 59.94.
    package var isDropFrame: Bool { isNTSC && (nominal == 30 || nominal == 60) }

    private static func whole(_ text: Substring) -> Int? {
        guard (1...9).contains(text.count), text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int(text)
    }

    /// The rate as a reduced fraction.
    ///
    /// - Parameter value: in `accepted`.
    private static func ratio(_ value: Double) -> (Int, Int) {
        // Editors write two decimals: 23.98 differs from 24000/1001 by 0.004.
        for whole in [24, 30, 48, 60, 96, 120, 240] where abs(value - Double(whole) * 1000 / 1001) < 0.006 {
            return (whole * 1000, 1001)
        }
        guard let millionths = Int(exactly: (value * 1_000_000).rounded()) else { return (1, 1) }
        let common = divisor(millionths, 1_000_000)
        return (millionths / common, 1_000_000 / common)
    }

    private static func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? max(a, 1) : divisor(b, a % b) }
}

extension FrameRate: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
    /// The nearest accepted rate, as `init(_:)`.
    package init(floatLiteral value: Double) { self.init(value) }
    /// The nearest accepted rate, as `init(_:)`.
    package init(integerLiteral value: Int) { self.init(Double(value)) }
}
