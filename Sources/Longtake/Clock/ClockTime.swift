internal import Foundation

/// A time as people and containers write it: RFC 3339, with or without an offset, or a date alone.
package struct ClockTime: Sendable, Equatable {
    /// The date and time of day as written.
    let civil: CivilTime
    /// Seconds east of UTC; nil if none is written.
    let offset: Int?
    /// Seconds that the time leaves open: 86400 for a date, 60 without seconds, 1 or less with them.
    let precision: Double
    /// True if an offset is written as Z, which many programs write for any time.
    let isZulu: Bool

    /// True for a date without a time of day.
    var isDate: Bool { precision > 60 }

    /// Parses "2026-11-29", "2026-11-29T04:00", "2026-11-29 04:00:00.25", each time also with Z, +01:00 or +0100.
    package init?(_ text: String) {
        // Built on each call: a regex is not Sendable.
        let form = /(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)([.]\d{1,9})?)? ?([Zz]|[+-]\d\d:?\d\d)?)?/
            .asciiOnlyDigits()
        guard let match = try? form.wholeMatch(in: text) else { return nil }
        let (_, year, month, day, hour, minute, second, fraction, offset) = match.output
        func number(_ part: Substring?) -> Int { part.flatMap { Int($0) } ?? 0 }
        let civil = CivilTime(
            year: number(year), month: number(month), day: number(day), hour: number(hour), minute: number(minute),
            second: number(second), fraction: fraction.flatMap { Double("0" + $0) } ?? 0)
        guard let civil else { return nil }
        self.civil = civil
        precision = hour == nil ? 86_400 : second == nil ? 60 : fraction == nil ? 1 : 0.001
        isZulu = offset?.lowercased() == "z"
        if let offset, !isZulu {
            guard let seconds = Self.offset(String(offset)) else { return nil }
            self.offset = seconds
        } else {
            self.offset = isZulu ? 0 : nil
        }
    }

    /// Parses an offset such as +01:00, -0330 or Z, in seconds east of UTC; nil for other text.
    static func offset(_ text: String) -> Int? {
        if text == "Z" || text == "z" { return 0 }
        let digits = text.dropFirst().filter { $0 != ":" }
        guard let sign = text.first, sign == "+" || sign == "-", digits.count == 4,
            text.count == 5 || text.count == 6 && text.dropFirst(3).first == ":",
            digits.allSatisfy({ $0.isASCII && $0.isNumber }), let hours = Int(digits.prefix(2)),
            let minutes = Int(digits.suffix(2)), hours < 24, minutes < 60
        else { return nil }
        return (hours * 60 + minutes) * (sign == "-" ? -60 : 60)
    }

    /// The instant in seconds since 1970 UTC; a time without an offset is in `zone`.
    func instant(in zone: ClockZone) -> (seconds: Double, note: String?) {
        if let offset { return (civil.seconds - Double(offset), nil) }
        return zone.instant(of: civil)
    }
}
