import Longtake
import Testing

extension LongtakeTests {
    /// The same question about one window after the other.
    @Suite struct SegmentTests {
        private func ask(_ analyzer: Analyzer, _ questions: [Question], every: Double) throws -> [Answer] {
            var answers: [Answer] = []
            try analyzer.ask(
                questions, about: InputPath(Shared.video), options: IndexOptions(), every: every
            ) { answers.append($1) }
            return answers
        }

        @Test func windowsCoverTheRecording() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let answers = try ask(analyzer, [question(maxTokens: 4)], every: 5)
            #expect(answers.map(\.segment) == [[0, 5], [5, 10], [10, 12]])
            #expect(answers.map(\.frames) == [5, 5, 2])
            for answer in answers {
                var one = question(maxTokens: 4)
                (one.from, one.to) = (answer.segment?.first, answer.segment?.last)
                #expect(try analyzer.ask(one, about: Shared.video).tokenIDs == answer.tokenIDs)
            }
        }

        @Test func aRangeIsCutFromItsStart() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var asked = question(maxTokens: 2)
            (asked.from, asked.to) = (3, 8)
            let answers = try ask(analyzer, [asked, asked], every: 2)
            #expect(answers.map(\.segment) == [[3, 5], [3, 5], [5, 7], [5, 7], [7, 8], [7, 8]])
        }

        @Test(arguments: [0.5, 0, -1, .nan, .infinity]) func lengthsThatMeanNothing(every: Double) throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            #expect(code { _ = try ask(analyzer, [question(maxTokens: 1)], every: every) } == "bad_request")
        }
    }
}
