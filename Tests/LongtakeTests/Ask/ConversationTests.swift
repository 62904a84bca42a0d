import Longtake
import Models
import Testing
import Tokenizers

extension LongtakeTests {
    /// Several turns about one recording.
    @Suite struct ConversationTests {
        private static let asked = ["What happens in the video?", "Who comes in?", "And what is on the table then?"]

        private func begin(_ analyzer: Analyzer) throws -> Conversation {
            try analyzer.converse(
                about: InputPath(Shared.video), settings: question(maxTokens: 12), options: IndexOptions())
        }

        /// A turn that reuses keys and values gives the answer of a cold run over the whole prompt.
        @Test(arguments: [Shared.model, Shared.otherModel]) func appendedTurnsEqualColdRuns(path: String) throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(path), library: try folder.library())
            let warm = try begin(analyzer)
            var turns: [PromptTurn] = []
            for (place, text) in Self.asked.enumerated() {
                let answer = try warm.ask(text)
                let cold = try begin(analyzer)
                cold.recall(turns)
                let again = try cold.ask(text)
                #expect(answer.tokenIDs == again.tokenIDs, "turn \(place)")
                #expect(answer.answer == again.answer)
                // What all questions share, and nothing of the earlier turns.
                let head = try #require(try analyzer.model.prompt(text).imageIndex)
                #expect(cold.rowsReused == head + 12)
                if place > 0 {
                    let before = try analyzer.model.prompt(Self.asked[place - 1], history: Array(turns.dropLast()))
                    // All rows of the prompt before but its last, the twelve frames among them.
                    #expect(warm.rowsReused == before.ids.count - 1 + 12 - 1)
                }
                turns.append(PromptTurn(question: text, answer: answer.answer))
            }
        }

        @Test func theFirstTurnIsAnOrdinaryQuestion() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let conversation = try begin(analyzer)
            let first = try conversation.ask(Self.asked[0])
            let plain = try analyzer.ask(question(maxTokens: 12), about: Shared.video)
            #expect(first.tokenIDs == plain.tokenIDs && first.evidence == plain.evidence)
            #expect(first.recording.path == Shared.video && conversation.last?.answer == first.answer)
        }

        @Test func historyMatters() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let conversation = try begin(analyzer)
            _ = try conversation.ask(Self.asked[0])
            let second = try conversation.ask(Self.asked[1])
            conversation.restart()
            let alone = try conversation.ask(Self.asked[1])
            #expect(second.tokenIDs != alone.tokenIDs)
            let plain = try analyzer.ask(question(Self.asked[1], maxTokens: 12), about: Shared.video)
            #expect(alone.tokenIDs == plain.tokenIDs)
        }

        @Test func rangesChangeBetweenTurns() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let conversation = try begin(analyzer)
            _ = try conversation.ask(Self.asked[0])
            try conversation.setRange(from: 4, to: 8)
            let part = try conversation.ask(Self.asked[1])
            let head = try #require(try analyzer.model.prompt(Self.asked[1]).imageIndex)
            #expect(part.frames == 4 && part.range == [4, 7] && conversation.rowsReused == head + 4)
            try conversation.setRange(from: 50, to: nil)
            let none = try conversation.ask(Self.asked[1])
            #expect(none.frames == 0 && !none.found && none.answer == "no frames in range")
            try conversation.setRange(from: nil, to: nil)
            #expect(try conversation.ask(Self.asked[1]).frames == 12)
        }

        /// A rejected question leaves the conversation as it was.
        @Test func refusedQuestionsAreNoTurns() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let (one, other) = (try begin(analyzer), try begin(analyzer))
            _ = try one.ask(Self.asked[0])
            _ = try other.ask(Self.asked[0])
            #expect(code { _ = try one.ask("  ") } == "question_empty")
            #expect(try one.ask(Self.asked[1]).tokenIDs == other.ask(Self.asked[1]).tokenIDs)
        }
    }
}
