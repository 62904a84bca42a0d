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

    /// Matches the end of a path without its suffix, or with it if the pattern has a point; nil if it does not match.
    ///
    /// A pattern may begin within a name, but not within a number, and {camera} at its start is a whole name.
    func match(_ path: InputPath) -> Match? {
        let bytes = path.bytes
        let short = Self.withoutSuffix(bytes)
        if let found = match(short) { return found }
        return short.count < bytes.count && parts.contains(.byte(UInt8(ascii: "."))) ? match(bytes[...]) : nil
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
        let matcher = Matcher(parts: parts, bytes: bytes[start...])
        for first in start...bytes.endIndex where matcher.fits(part: 0, at: first) {
            let isInside = first > bytes.startIndex && bytes[first - 1] != Self.slash
            switch parts.first {
            case .camera where isInside: continue
            case .field where isInside && Self.isDigit(bytes[first - 1]): continue
            default: return found(matcher.ranges(from: first), in: bytes)
            }
        }
        return nil
    }

    /// Finds the parts of a pattern in the end of a path, in a time proportional to the product of their lengths.
    private struct Matcher {
        let parts: [Part]
        let bytes: ArraySlice<UInt8>
        /// For each part, and for the pattern's end, whether the rest of the pattern fits the bytes from each position.
        private var rest: [Bool]

        init(parts: [Part], bytes: ArraySlice<UInt8>) {
            (self.parts, self.bytes) = (parts, bytes)
            let width = bytes.count + 1
            rest = [Bool](repeating: false, count: (parts.count + 1) * width)
            rest[rest.count - 1] = true
            for part in parts.indices.reversed() {
                for position in (bytes.startIndex...bytes.endIndex).reversed() {
                    rest[part * width + position - bytes.startIndex] = beginsHere(part, position)
                }
            }
        }

        /// True if the pattern from a part on fits the bytes from a position on.
        func fits(part: Int, at position: Int) -> Bool {
            rest[part * (bytes.count + 1) + position - bytes.startIndex]
        }

        private func beginsHere(_ part: Int, _ position: Int) -> Bool {
            switch parts[part] {
            case .wildcard:
                return fits(part: part + 1, at: position) || isInName(position) && fits(part: part, at: position + 1)
            case .camera:
                return isInName(position)
                    && (fits(part: part + 1, at: position + 1) || fits(part: part, at: position + 1))
            case .byte(let byte):
                return position < bytes.endIndex && bytes[position] == byte && fits(part: part + 1, at: position + 1)
            case .field: return ends(of: parts[part], at: position).contains { fits(part: part + 1, at: $0) }
            }
        }

        private func isInName(_ position: Int) -> Bool { position < bytes.endIndex && bytes[position] != slash }

        /// Where each part is if the pattern begins at a position that fits; text within a name is as long as possible.
        func ranges(from first: Int) -> [Int: Range<Int>] {
            var ranges: [Int: Range<Int>] = [:]
            var position = first
            for part in parts.indices {
                var ends = ends(of: parts[part], at: position)
                if parts[part] == .wildcard || parts[part] == .camera {
                    let least = parts[part] == .camera ? position + 1 : position
                    let end = bytes[position...].firstIndex(of: slash) ?? bytes.endIndex
                    ends = least <= end ? Array((least...end).reversed()) : []
                }
                guard let end = ends.first(where: { fits(part: part + 1, at: $0) }) else { break }
                ranges[part] = position..<end
                position = end
            }
            return ranges
        }

        /// The positions after a byte or a field that begins at `position`.
        private func ends(of part: Part, at position: Int) -> [Int] {
            switch part {
            case .wildcard, .camera: return []
            case .byte(let byte): return position < bytes.endIndex && bytes[position] == byte ? [position + 1] : []
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
