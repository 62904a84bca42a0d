internal import Foundation
internal import Tokenizers

/// Measures the time to find the tokens that may come next in an answer of a declared form.
package struct FormBenchmark: Sendable, Codable {
    /// The state of one answer.
    package struct State: Sendable, Codable {
        /// The form's name.
        package let form: String
        /// The answer so far.
        package let text: String
        /// How many tokens may follow.
        package let tokens: Int
        /// Median time of the search for them.
        package let milliseconds: Double
        /// Median time once they are kept.
        package let keptMilliseconds: Double

        private enum CodingKeys: String, CodingKey {
            case form, text, tokens, milliseconds
            case keptMilliseconds = "kept_milliseconds"
        }
    }

    /// IDs of the tokenizer.
    package let vocabulary: Int
    /// Time to arrange the vocabulary, once for each process that asks for a form.
    package let prepareMilliseconds: Double
    /// The measured states.
    package let states: [State]

    private enum CodingKeys: String, CodingKey {
        case vocabulary, states
        case prepareMilliseconds = "prepare_milliseconds"
    }

    private static let document = #"{"type":"object","properties":{"note":{"type":"string"}},"required":["note"]}"#

    /// Runs the benchmark on the tokenizer in a folder; the folder needs no weights.
    ///
    /// - Throws: `TokenizerError` for a folder without a tokenizer, `LongtakeError` `bad_request` for `runs` out of range.
    package init(folder: String, runs: Int) throws {
        guard (1...1000).contains(runs) else {
            throw LongtakeError(code: .badRequest, message: "out of range: use 1 to 1000 runs")
        }
        let tokenizer = try TokenizerLoader.load(folder: URL(fileURLWithPath: folder, isDirectory: true))
        vocabulary = tokenizer.vocabularySize
        let start = ContinuousClock.now
        let trie = TokenTrie(tokenizer, vocabularySize: tokenizer.vocabularySize, excluding: [])
        prepareMilliseconds = (ContinuousClock.now - start).seconds * 1000
        let document = try AnswerForm.json(AnswerSchema(json: Self.document))
        let cases: [(AnswerForm, String)] = [
            (.yesNo, ""), (.number, ""), (.number, "1"), (.time, "12"), (.text, ""), (.text, "A red car"),
            (document, "{"),
            (document, #"{"note": "A red car"#),
        ]
        states = try cases.map { try Self.measure($0, $1, trie, runs: runs) }
    }

    private static func measure(_ form: AnswerForm, _ text: String, _ trie: TokenTrie, runs: Int) throws -> State {
        let grammar = try form.grammar()
        guard let state = grammar.next(grammar.start, text.utf8) else {
            throw LongtakeError(code: .badRequest, message: "\(text) is not the beginning of a \(form.name.rawValue)")
        }
        var found: [UInt64] = []
        func median(_ filter: () -> TokenFilter) -> Double {
            let times = (0..<runs).map { _ in
                let filter = filter()
                let start = ContinuousClock.now
                found = filter.tokens(after: state)
                return (ContinuousClock.now - start).seconds * 1000
            }
            return times.sorted()[runs / 2]
        }
        let first = median { TokenFilter(grammar, trie) }
        let kept = TokenFilter(grammar, trie)
        _ = kept.tokens(after: state)
        return State(
            form: form.name.rawValue, text: text, tokens: found.reduce(0) { $0 + $1.nonzeroBitCount },
            milliseconds: first, keptMilliseconds: median { kept })
    }
}
