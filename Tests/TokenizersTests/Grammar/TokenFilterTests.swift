import Foundation
import TestSupport
import Testing
import Tokenizers

/// The sets of allowed tokens, compared with trying every token by itself.
@Suite struct TokenFilterTests {
    static let vocabularies = ["llama3", "sentencepiece", "nano"]

    private static func tokenizer(_ name: String) throws -> any Tokenizer {
        switch name {
        case "llama3": try TokenizerGolden.llama3()
        case "sentencepiece": try TokenizerGolden.sentencePiece(legacy: true)
        default:
            try TokenizerLoader.load(
                folder: TokenizerGolden.root.appending(path: "../../../Models/nano").standardizedFileURL)
        }
    }

    /// A document with everything in it: optional properties, a list, texts, numbers.
    private static func document() throws -> ByteGrammar {
        var builder = GrammarBuilder()
        let close = try builder.literal("}", then: builder.end)
        let range = try #require(NumberRange(isWhole: false, low: -5_000_000, high: 250_000_000))
        let number = try builder.number(range, then: close)
        let after = try builder.oneOf([(", \"n\": ", number)], otherwise: close)
        let text = try builder.text(0...40, isQuoted: true, then: after)
        let color = try builder.oneOf([("\"red\"", close), ("\"reddish\"", close), ("\"blue\"", number)])
        let start = try builder.oneOf([("\"t\": \"", text), ("\"color\": ", color), ("\"n\": ", number)])
        let object = try builder.literal("{", then: start)
        let spaced = try builder.oneOf([(" ", object)], otherwise: object)
        return builder.grammar(from: spaced)
    }

    private static func line() throws -> ByteGrammar {
        var builder = GrammarBuilder()
        let text = try builder.text(1...300, isQuoted: false, then: builder.end)
        return builder.grammar(from: text)
    }

    private func isSet(_ tokens: [UInt64], _ id: Int32) -> Bool {
        tokens[Int(id) >> 6] >> UInt64(id & 63) & 1 == 1
    }

    @Test(arguments: vocabularies, [true, false])
    func `the allowed tokens are those whose bytes the grammar reads`(name: String, isDocument: Bool) throws {
        let tokenizer = try Self.tokenizer(name)
        let grammar = try isDocument ? Self.document() : Self.line()
        let excluded = Set(tokenizer.encode("e"))
        let trie = TokenTrie(tokenizer, vocabularySize: tokenizer.vocabularySize + 3, excluding: excluded)
        let filter = TokenFilter(grammar, trie)
        var random = SeededNumbers(state: 3)
        for walk in 0..<6 {
            var state = grammar.start
            for step in 0..<25 {
                let limit = walk % 2 == 0 ? nil : max(grammar.fewestBytes(state), 1) + step % 3
                let found = filter.tokens(after: state, tokensLeft: limit)
                var allowed: [ByteGrammar.State] = []
                for id in 0..<Int32(tokenizer.vocabularySize) {
                    let bytes = tokenizer.tokenBytes(id)
                    let next = bytes.isEmpty ? nil : grammar.next(state, bytes)
                    let fits = next.map { limit == nil || grammar.fewestBytes($0) <= limit! - 1 } ?? false
                    let isText = !tokenizer.isSpecial(id) && !excluded.contains(id)
                    if isSet(found, id) != (fits && isText) { Issue.record("\(name), token \(id) \(bytes)") }
                    if let next, fits, isText { allowed.append(next) }
                }
                guard let chosen = allowed.randomElement(using: &random) else { break }
                state = chosen
            }
        }
    }

    /// However few tokens are left, each allowed one leaves a way to the end.
    @Test(arguments: vocabularies)
    func `a text ends within its limit of tokens`(name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let grammar = try Self.document()
        let filter = TokenFilter(
            grammar, TokenTrie(tokenizer, vocabularySize: tokenizer.vocabularySize, excluding: []))
        let least = grammar.fewestBytes(grammar.start)
        var random = SeededNumbers(state: 5)
        for limit in least...least + 30 {
            var (state, left) = (grammar.start, limit)
            while left > 0 {
                let found = filter.tokens(after: state, tokensLeft: left)
                let ids = (0..<Int32(tokenizer.vocabularySize)).filter { isSet(found, $0) }
                if ids.isEmpty { break }
                state = try #require(grammar.next(state, tokenizer.tokenBytes(ids.randomElement(using: &random) ?? 0)))
                left -= 1
            }
            #expect(grammar.isAccepting(state), "\(limit)")
        }
    }

    @Test func `a grammar that is too large is refused`() {
        var builder = GrammarBuilder()
        #expect(throws: GrammarBuilder.TooLarge.self) {
            _ = try builder.literal(String(repeating: "a", count: GrammarBuilder.limit), then: builder.end)
        }
    }
}
