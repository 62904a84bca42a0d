import Foundation
import Longtake
import Models
import Testing
import Tokenizers

extension LongtakeTests {
    /// What ends an answer, and what is too much for the context.
    @Suite struct AnswerLimitTests {
        private let folder: Folder
        private let analyzer: Analyzer

        init() throws {
            folder = try Folder()
            analyzer = Analyzer(model: try nano(), library: try folder.library())
        }

        private func ask(_ question: Question, onText: (String) -> Bool = { _ in true }) throws -> Answer {
            try analyzer.ask(question, about: Shared.video, options: IndexOptions(), onText: onText)
        }

        @Test(arguments: [1, 2, 5, 33]) func maxTokens(limit: Int) throws {
            let answer = try ask(question(maxTokens: limit))
            #expect(answer.tokenIDs.count <= limit)
            let stops: [Answer.Stop] = answer.tokenIDs.count == limit ? [.length, .stopToken] : [.stopToken]
            #expect(stops.contains(answer.stop))
        }

        @Test func longerAnswersBeginAlike() throws {
            let (short, long) = (try ask(question(maxTokens: 6)), try ask(question(maxTokens: 40)))
            #expect(Array(long.tokenIDs.prefix(6)) == short.tokenIDs)
        }

        @Test func timeLimit() throws {
            var asked = question(maxTokens: 400)
            asked.timeLimit = 0
            let answer = try ask(asked)
            #expect(answer.stop == .timeLimit && answer.tokenIDs.count == 1)
            #expect(answer.found)
        }

        @Test func listenerEndsIt() throws {
            var pieces: [String] = []
            let answer = try ask(question(maxTokens: 400)) { piece in
                pieces.append(piece)
                return pieces.count < 3
            }
            #expect(answer.stop == .cancelled)
            #expect(pieces.count == 3 || pieces.count == 4)
            #expect(answer.tokenIDs.count < 400)
        }

        /// Random tokens cut characters anywhere; every piece is whole, and the pieces are the answer.
        @Test(arguments: [UInt64(1), 2, 3, 4]) func piecesAreTheAnswer(seed: UInt64) throws {
            var asked = question(maxTokens: 120)
            asked.sampling.temperature = 2
            asked.sampling.seed = seed
            var pieces: [String] = []
            let answer = try ask(asked) { piece in
                pieces.append(piece)
                return true
            }
            #expect(pieces.joined() == answer.answer)
            #expect(!pieces.contains(""))
            let decoded = analyzer.model.tokenizer.decode(answer.tokenIDs, skipSpecial: true)
            #expect(answer.answer == decoded.trimmingCharacters(in: .whitespacesAndNewlines))
        }

        /// The first byte of a character says nothing yet.
        @Test func charactersAreNotCut() throws {
            let tokenizer = analyzer.model.tokenizer
            let text = "Grüße, 第一帧 👩‍👩‍👧!"
            let ids = tokenizer.encode(text)
            #expect(ids.count > text.count, "the vocabulary must cut characters for this to mean anything")
            var stream = StreamingDecoder(tokenizer: tokenizer)
            var pieces = ids.map { stream.append($0) }
            pieces.append(stream.finish())
            #expect(pieces.joined() == text)
            #expect(pieces.allSatisfy { !$0.unicodeScalars.contains("\u{FFFD}") })
            #expect(pieces.contains(""))
        }

        @Test func contextExceeded() throws {
            try Self.withPositions(2048) { path in
                let analyzer = Analyzer(model: try nano(path), library: try folder.library())
                let words = Question(Array(repeating: "zebra", count: 3000).joined(separator: " "), maxTokens: 8)
                do {
                    _ = try analyzer.ask(words, about: Shared.video, options: IndexOptions())
                    Issue.record("3000 words fit 2048 positions")
                } catch {
                    let failure = Failure(error)
                    #expect(failure.code == "context_exceeded" && failure.exitCode == Exit.refused)
                    #expect(failure.message.contains("2048") && failure.message.contains("12 frames"))
                    let needed = try analyzer.model.prompt(words.text).ids.count - 1 + 12 + 8
                    #expect(failure.message.contains("\(needed)"), "\(failure)")
                }
                // The answer counts as well; what just fits is answered.
                let prompt = try analyzer.model.prompt(question().text).ids.count - 1 + 12
                let fitting = question(maxTokens: 2048 - prompt)
                let refused = code {
                    _ = try analyzer.ask(fitting, about: Shared.video, options: IndexOptions(), onText: { _ in false })
                }
                #expect(refused == nil)
                let over = question(maxTokens: 2048 - prompt + 1)
                #expect(
                    code { _ = try analyzer.ask(over, about: Shared.video, options: IndexOptions()) }
                        == "context_exceeded")
                let absurd = question(maxTokens: .max)
                #expect(
                    code { _ = try analyzer.ask(absurd, about: Shared.video, options: IndexOptions()) }
                        == "context_exceeded")
            }
        }

        @Test(arguments: [0, -1, .min]) func noTokensWanted(count: Int) throws {
            let answered = code { _ = try ask(question(maxTokens: count)) }
            #expect(answered == "bad_request")
        }

        /// The shared model with another context length.
        private static func withPositions(_ count: Int, _ body: (String) throws -> Void) throws {
            let copy = try Folder()
            let path = copy.path + "/model"
            try FileManager.default.copyItem(atPath: Shared.model, toPath: path)
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            values["max_position_embeddings"] = count
            values["tokenizer_model_max_length"] = count
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            try body(path)
        }
    }
}
