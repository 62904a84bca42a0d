/// Splits text into the pieces that byte pair merging never crosses: two regular expressions, implemented by hand.
///
/// All functions take valid UTF-8 and call `body` with the byte range of each piece, in order. Linear time.
package enum PretokenSplitter {
    /// The regular expression that `splitLlama3` implements, as in Llama 3's tokenizer.json.
    package static let llama3Pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    /// The regular expression that `splitCLIP` implements, as in CLIP's tokenizer.json.
    static let clipPattern = #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#

    /// Splits by `llama3Pattern`; every byte of the text is in exactly one piece.
    package static func splitLlama3(_ text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        var index = 0
        while index < text.count {
            let end = llama3End(text, from: index)
            body(index..<end)
            index = end
        }
    }

    /// The end of the first match at `start`; the alternatives are tried in the expression's order.
    private static func llama3End(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let first = decodeScalar(text, at: start)
        let kind = UnicodeClass.of(first.value)
        let next = start + first.length

        if first.value == 0x27, let end = contractionEnd(text, after: next, foldCase: true) { return end }

        // [^\r\n\p{L}\p{N}]?\p{L}+
        if kind == .letter { return run(of: .letter, text, from: next) }
        if kind != .number, first.value != 0x0D, first.value != 0x0A, classOf(text, next) == .letter {
            return run(of: .letter, text, from: next)
        }

        // \p{N}{1,3}
        if kind == .number {
            var end = next
            for _ in 0..<2 {
                let digit = decodeScalar(text, at: end)
                guard digit.length > 0, UnicodeClass.of(digit.value) == .number else { break }
                end += digit.length
            }
            return end
        }

        //  ?[^\s\p{L}\p{N}]+[\r\n]*
        if kind == .other || (first.value == 0x20 && classOf(text, next) == .other) {
            var end = run(of: .other, text, from: next)
            while end < text.count, text[end] == 0x0D || text[end] == 0x0A { end += 1 }
            return end
        }

        // Only white space is left. \s*[\r\n]+ ends after the last line break of the run; \s+(?!\S) leaves the last
        // character of the run to the next piece, unless it is the only one or the text ends.
        var end = start
        var afterBreak: Int?
        var lastStart = start
        while true {
            let scalar = decodeScalar(text, at: end)
            guard scalar.length > 0, UnicodeClass.of(scalar.value) == .space else { break }
            lastStart = end
            end += scalar.length
            if scalar.value == 0x0D || scalar.value == 0x0A { afterBreak = end }
        }
        if let afterBreak { return afterBreak }
        if end == text.count || lastStart == start { return end }
        return lastStart
    }

    /// Calls `body` with each match of `clipPattern`; only white space is unmatched, and it is dropped.
    package static func splitCLIP(_ text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        var index = 0
        while index < text.count {
            let first = decodeScalar(text, at: index)
            let next = index + first.length
            let end: Int
            switch UnicodeClass.of(first.value) {
            case .space:
                index = next
                continue
            case .letter: end = run(of: .letter, text, from: next)
            case .number: end = next
            case .other:
                if first.value == 0x27, let contraction = contractionEnd(text, after: next, foldCase: false) {
                    end = contraction
                } else {
                    end = run(of: .other, text, from: next)
                }
            }
            body(index..<end)
            index = end
        }
    }

    /// The end of `'s 't 're 've 'm 'll 'd` if its apostrophe ends at `index`; nil if none matches.
    ///
    /// With `foldCase`, U+017F (long s) counts as s, as with Unicode case folding in the original engine.
    private static func contractionEnd(
        _ text: UnsafeBufferPointer<UInt8>, after index: Int, foldCase: Bool
    ) -> Int? {
        func letter(_ at: Int) -> (UInt8, Int) {
            guard at < text.count else { return (0, 0) }
            let byte = text[at]
            if foldCase {
                if byte >= 0x41, byte <= 0x5A { return (byte | 0x20, 1) }
                if byte == 0xC5, at + 1 < text.count, text[at + 1] == 0xBF { return (UInt8(ascii: "s"), 2) }
            }
            return (byte, 1)
        }
        let (first, length) = letter(index)
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return index + length
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return letter(index + 1).0 == UInt8(ascii: "e") ? index + 2 : nil
        case UInt8(ascii: "l"): return letter(index + 1).0 == UInt8(ascii: "l") ? index + 2 : nil
        default: return nil
        }
    }

    @inline(__always)
    private static func classOf(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> UnicodeClass? {
        let scalar = decodeScalar(text, at: index)
        return scalar.length == 0 ? nil : UnicodeClass.of(scalar.value)
    }

    private static func run(of kind: UnicodeClass, _ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < text.count {
            let scalar = decodeScalar(text, at: index)
            guard UnicodeClass.of(scalar.value) == kind else { break }
            index += scalar.length
        }
        return index
    }
}
