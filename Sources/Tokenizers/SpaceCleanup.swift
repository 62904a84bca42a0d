/// `clean_up_tokenization_spaces`: removes the space before punctuation and English contractions, as the reference
/// does.
enum SpaceCleanup {
    // Applied in this order, each to the whole text.
    private static let rules: [(pattern: [UInt8], keep: Range<Int>)] = [
        (" .", 1..<2), (" ?", 1..<2), (" !", 1..<2), (" ,", 1..<2), (" ' ", 1..<2), (" n't", 1..<4), (" 'm", 1..<3),
        (" 's", 1..<3), (" 've", 1..<4), (" 're", 1..<4),
    ].map { (Array($0.0.utf8), $0.1) }

    // Every byte that occurs in a pattern.
    private static let patternBytes = Set(rules.flatMap(\.pattern))

    private static let beforeSpace = Array(" 'n".utf8)

    /// Applies all rules to the text.
    static func clean(_ text: [UInt8]) -> [UInt8] {
        var text = text
        for rule in rules { text = replace(rule.pattern, keep: rule.keep, in: text) }
        return text
    }

    private static func replace(_ pattern: [UInt8], keep: Range<Int>, in text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if text[index] == 0x20, text[index...].starts(with: pattern) {
                result.append(contentsOf: pattern[keep])
                index += pattern.count
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }

    /// The length of the prefix of a growing text that can be cleaned now: no match can cross its end, whatever
    /// follows.
    ///
    /// The prefix can end after a byte that occurs in no pattern. It can also end before a space, unless the byte
    /// before is one that a pattern can have before an apostrophe or a space: a space, an apostrophe, or the n of "n't"
    /// (" n ' t" becomes " n't", then "n't").
    static func settledCount(_ text: [UInt8]) -> Int {
        var index = text.count
        while index > 0 {
            if !patternBytes.contains(text[index - 1]) { return index }
            if index < text.count, text[index] == 0x20, !Self.beforeSpace.contains(text[index - 1]) { return index }
            index -= 1
        }
        return 0
    }
}

/// The characters that Python's `str.strip` and Jinja's `trim` remove: White_Space and U+001C…U+001F.
enum PythonSpace {
    static func contains(_ scalar: UInt32) -> Bool {
        (0x1C...0x1F).contains(scalar) || UnicodeClass.of(scalar) == .space
    }

    /// The text without white space at both ends.
    static func strip(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !contains($0.value) }),
            let last = scalars.lastIndex(where: { !contains($0.value) })
        else { return "" }
        return String(scalars[first...last])
    }

    /// The number of bytes of white space at the start of valid UTF-8.
    static func leadingCount(_ text: ArraySlice<UInt8>) -> Int {
        text.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                let scalar = decodeScalar(bytes, at: index)
                guard contains(scalar.value) else { break }
                index += scalar.length
            }
            return index
        }
    }

    /// The number of bytes of white space at the end of valid UTF-8.
    static func trailingCount(_ text: ArraySlice<UInt8>) -> Int {
        text.withUnsafeBufferPointer { bytes in
            var end = bytes.count
            while end > 0 {
                var start = end - 1
                while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
                guard contains(decodeScalar(bytes, at: start).value) else { break }
                end = start
            }
            return bytes.count - end
        }
    }
}
