extension ClockPattern {
    /// What a path states.
    struct Match: Equatable {
        var camera: String?
        /// The date and time of day; nil if the pattern has none, or if there is no such date.
        var civil: CivilTime?
        /// Seconds since 1970 UTC, if the path states them.
        var instant: Double?
        /// Seconds east of UTC, if the path states them.
        var offset: Int?
        /// The date that does not exist; nil if there is none.
        var invalid: String?
    }

    /// Matches the end of a path, first without its suffix; nil if it does not match.
    ///
    /// A pattern may begin within a name, but not within a number, and {camera} at its start is a whole name.
    func match(_ path: InputPath) -> Match? {
        let bytes = path.bytes
        let short = Self.withoutSuffix(bytes)
        return match(short) ?? (short.count < bytes.count ? match(bytes[...]) : nil)
    }

    private static let slash = UInt8(ascii: "/")

    /// The path without its last point and up to ten letters and digits after it, at least one a letter.
    private static func withoutSuffix(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        guard let point = bytes.lastIndex(of: UInt8(ascii: ".")), point > 0, bytes[point - 1] != slash else {
            return bytes[...]
        }
        let suffix = bytes[(point + 1)...]
        let isSuffix =
            (1...10).contains(suffix.count) && suffix.allSatisfy { isLetter($0) || isDigit($0) }
            && suffix.contains(where: isLetter)
        return isSuffix ? bytes[..<point] : bytes[...]
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    private func match(_ bytes: ArraySlice<UInt8>) -> Match? {
        // No part of the path before the names that the pattern spans can matter.
        let names = 1 + parts.count { $0 == .byte(Self.slash) }
        var (start, left) = (bytes.endIndex, names)
        while start > bytes.startIndex {
            if bytes[start - 1] == Self.slash {
                left -= 1
                if left == 0 { break }
            }
            start -= 1
        }
        var matcher = Matcher(parts: parts, bytes: bytes)
        for first in start...bytes.endIndex {
            let isInside = first > bytes.startIndex && bytes[first - 1] != Self.slash
            switch parts.first {
            case .camera where isInside: continue
            case .field where isInside && Self.isDigit(bytes[first - 1]): continue
            default: break
            }
            if matcher.matches(part: 0, at: first) { return found(matcher.ranges, in: bytes) }
        }
        return nil
    }

    /// Finds the parts of a pattern in a path; what has failed once is not tried again.
    private struct Matcher {
        let parts: [Part]
        let bytes: ArraySlice<UInt8>
        /// Where the fields and the camera are.
        var ranges: [Int: Range<Int>] = [:]
        private var failed: Set<[Int]> = []

        init(parts: [Part], bytes: ArraySlice<UInt8>) { (self.parts, self.bytes) = (parts, bytes) }

        mutating func matches(part: Int, at position: Int) -> Bool {
            guard part < parts.count else { return position == bytes.endIndex }
            guard !failed.contains([part, position]) else { return false }
            for end in ends(of: parts[part], at: position) where matches(part: part + 1, at: end) {
                ranges[part] = position..<end
                return true
            }
            failed.insert([part, position])
            return false
        }

        /// The positions after a part that begins at `position`, the longest first.
        private func ends(of part: Part, at position: Int) -> [Int] {
            switch part {
            case .byte(let byte):
                return position < bytes.endIndex && bytes[position] == byte ? [position + 1] : []
            case .wildcard, .camera:
                let end = bytes[position...].firstIndex(of: slash) ?? bytes.endIndex
                let least = part == .camera ? position + 1 : position
                return end >= least ? Array((least...end).reversed()) : []
            case .field(let field):
                guard let digits = field.digits else {
                    return [6, 5, 1].map { position + $0 }.filter {
                        $0 <= bytes.endIndex
                            && ClockTime.offset(String(decoding: bytes[position..<$0], as: UTF8.self)) != nil
                    }
                }
                let run = bytes[position...].prefix(digits.upperBound).prefix(while: isDigit).count
                return run >= digits.lowerBound ? [position + run] : []
            }
        }
    }

    private func found(_ ranges: [Int: Range<Int>], in bytes: ArraySlice<UInt8>) -> Match {
        var match = Match()
        var values: [Field: Int] = [:]
        for (index, range) in ranges {
            let text = String(decoding: bytes[range], as: UTF8.self)
            switch parts[index] {
            case .camera: match.camera = text
            case .field(.offset): match.offset = ClockTime.offset(text)
            case .field(let field): values[field] = Int(text)
            case .byte, .wildcard: break
            }
        }
        if let seconds = values[.unixTime] { match.instant = Double(seconds) }
        guard let year = values[.year] else { return match }
        var (month, day) = (values[.month], values[.day])
        if let number = values[.dayOfYear] {
            let date = CivilTime.date(ofDay: number, in: year)
            (month, day) = (date?.month, date?.day)
        }
        if let month, let day {
            match.civil = CivilTime(
                year: year, month: month, day: day, hour: values[.hour] ?? 0, minute: values[.minute] ?? 0,
                second: values[.second] ?? 0)
        }
        if match.civil == nil {
            match.invalid = Field.allCases.compactMap { field in values[field].map { "\(field.text) \($0)" } }
                .joined(separator: ", ")
        }
        return match
    }
}
