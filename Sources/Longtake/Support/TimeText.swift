/// Parses and formats times such as 90, 1.5, 10m, 2h, 1h30m, 01:30 or 01:30:00.250.
package enum TimeText {
    /// Returns the time in seconds; nil for other text and for negative times.
    package static func seconds(_ text: String) -> Double? {
        if text.contains(":") {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.first != "-" && $0.first != "+" })
            else {
                return nil
            }
            let values = parts.compactMap { DecimalNumber(String($0))?.value }
            guard values.count == parts.count, values.allSatisfy({ $0.isFinite }),
                values.dropFirst().allSatisfy({ $0 < 60 })
            else {
                return nil
            }
            let seconds = values.reduce(0) { $0 * 60 + $1 }
            return seconds.isFinite ? seconds : nil
        }
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        var number = Substring(text)
        var unit = 1.0
        if let last = text.last, let known = units[last] {
            unit = known
            number = number.dropLast()
        }
        if let value = DecimalNumber(String(number))?.value, value >= 0, (value * unit).isFinite { return value * unit }
        return compound(text, units)
    }

    /// Parses 1h30m or 11m30s: whole values with units, the largest unit first.
    private static func compound(_ text: String, _ units: [Character: Double]) -> Double? {
        var (total, digits, last) = (0.0, "", Double.infinity)
        for character in text {
            if character.isASCII, character.isNumber {
                digits.append(character)
            } else {
                guard let unit = units[character], unit < last, digits.count <= 9, let value = Double(digits) else {
                    return nil
                }
                total += value * unit
                (digits, last) = ("", unit)
            }
        }
        return digits.isEmpty && total.isFinite && !text.isEmpty ? total : nil
    }

    /// Formats seconds for JSON, such as 7 or 9.5.
    static func number(_ seconds: Double) -> String {
        Int(exactly: seconds).map { "\($0)" } ?? "\(seconds)"
    }

    /// Formats seconds as hh:mm:ss; hours have as many digits as needed.
    package static func clock(_ seconds: Double) -> String {
        let whole = Int(saturating: max(0, min(seconds, 1e12)))
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(whole / 3600)):\(two(whole / 60 % 60)):\(two(whole % 60))"
    }
}
