import Foundation
import TestSupport
import Testing
import Tokenizers

/// Texts of limited length, compared with Swift's own check of UTF-8.
@Suite struct TextGrammarTests {
    private func grammar(_ characters: ClosedRange<Int>, isQuoted: Bool) throws -> ByteGrammar {
        var builder = GrammarBuilder()
        let text = try builder.text(characters, isQuoted: isQuoted, then: builder.end)
        return builder.grammar(from: text)
    }

    private func accepts(_ grammar: ByteGrammar, _ bytes: [UInt8]) -> Bool {
        grammar.next(grammar.start, bytes).map(grammar.isAccepting) ?? false
    }

    /// Random bytes near the borders of UTF-8, and random scalars.
    private func samples(_ count: Int) -> [[UInt8]] {
        var random = SeededNumbers(state: 7)
        let edges: [UInt8] = [
            0x00, 0x1F, 0x20, 0x41, 0x7E, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xA8, 0xA9, 0xBF, 0xC0, 0xC2, 0xC3, 0xDF,
            0xE0, 0xE1, 0xE2, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
        ]
        return (0..<count).map { index in
            let length = Int.random(in: 1...4, using: &random)
            guard index % 2 == 0 else { return (0..<length).map { _ in edges.randomElement(using: &random) ?? 0 } }
            let scalars = (0..<length).compactMap { _ in
                Unicode.Scalar(
                    UInt32.random(in: 0...0x10FFFF, using: &random) >> UInt32.random(in: 0...12, using: &random))
            }
            return Array(String(String.UnicodeScalarView(scalars)).utf8)
        }
    }

    private func isLine(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && ![0x2028, 0x2029].contains(scalar.value)
    }

    @Test func `a bare text is a line of valid UTF-8 that begins with no space`() throws {
        let grammar = try grammar(1...3, isQuoted: false)
        var accepted = 0
        for bytes in samples(40_000) {
            let text = String(validating: bytes, as: UTF8.self)
            let scalars = text.map { Array($0.unicodeScalars) } ?? []
            let isRight =
                text != nil && (1...3).contains(scalars.count) && scalars.allSatisfy(isLine) && scalars.first != " "
            #expect(accepts(grammar, bytes) == isRight, "\(bytes)")
            accepted += isRight ? 1 : 0
        }
        #expect(accepted > 1000)
    }

    @Test func `a quoted text is the inside of a JSON string`() throws {
        let grammar = try grammar(0...4, isQuoted: true)
        for text in ["\"", "a\"", "a\\\"b\"", "\\\\\"", "\\n\\t\\/\"", "é€😀x\""] {
            #expect(accepts(grammar, Array(text.utf8)), "\(text)")
            let json = Data("\"\(text)".utf8)
            #expect((try? JSONSerialization.jsonObject(with: json, options: .fragmentsAllowed)) is String, "\(text)")
        }
        for text in ["", "a", "abcde\"", "\\\"", "\\x\"", "\\u0041\"", "a\n\"", "a\"b"] {
            #expect(!accepts(grammar, Array(text.utf8)), "\(text)")
        }
    }

    @Test func `the fewest bytes to the end end the text`() throws {
        for (grammar, close) in [(try grammar(2...5, isQuoted: false), ""), (try grammar(2...5, isQuoted: true), "\"")]
        {
            #expect(grammar.fewestBytes(grammar.start) == 2 + close.utf8.count)
            for bytes in samples(4000) {
                var state = grammar.start
                for byte in bytes {
                    guard let next = grammar.next(state, byte) else { break }
                    state = next
                    // Any bytes that shorten the way lead to the end in as many steps.
                    var (left, walk) = (grammar.fewestBytes(state), state)
                    while left > 0 {
                        let shorter = (0...255).lazy.compactMap { grammar.next(walk, UInt8($0)) }
                            .first { grammar.fewestBytes($0) == left - 1 }
                        walk = try #require(shorter)
                        left -= 1
                    }
                    #expect(grammar.isAccepting(walk))
                }
            }
        }
    }
}
