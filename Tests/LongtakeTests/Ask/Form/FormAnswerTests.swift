import Foundation
import Longtake
import Models
import TestSupport
import Testing

extension LongtakeTests {
    /// Answers of models in declared forms: always valid, whatever the weights, the sampling and the limit.
    @Suite struct FormAnswerTests {
        private static let nanoFolder = fixtures.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Models/nano").path
        private static let desk = fixtures.appending(path: "desk/test-1003600.mp4").path

        private static func forms() throws -> [AnswerForm] {
            try [
                .yesNo, .number, .time, .text, .choice(["red", "dark red", "a blue car"]),
                .json(AnswerSchema(json: AnswerFormTests.schemas[9])),
                .json(AnswerSchema(json: AnswerFormTests.schemas[3])),
                .json(AnswerSchema(json: AnswerFormTests.schemas[7])),
            ]
        }

        /// Questions with all forms in turn; every third one is sampled, at a temperature at which anything may come.
        private static func questions(_ count: Int, maxTokens: Int = 120) throws -> [Question] {
            let forms = try forms()
            return (0..<count).map { index in
                var asked = question("Question \(index): what happens?", maxTokens: maxTokens)
                asked.form = forms[index % forms.count]
                if index % 3 == 2 { asked.sample(temperature: 3, topP: 1, seed: UInt64(index)) }
                return asked
            }
        }

        private func ask(
            _ questions: [Question], _ analyzer: Analyzer, _ video: String = Shared.video,
            onText: (Int, String) -> Bool = { _, _ in true }
        ) throws -> [Answer] {
            var answers: [Answer] = []
            try analyzer.ask(questions, about: InputPath(video), options: IndexOptions(), onText: onText) { _, answer in
                answers.append(answer)
            }
            return answers
        }

        private func expectValid(_ answers: [Answer], _ questions: [Question]) {
            #expect(answers.count == questions.count)
            for (answer, question) in zip(answers, questions) {
                let declared = question.form?.answer(answer.modelText ?? answer.answer)
                #expect(declared != nil && declared?.value == answer.value, "\(answer.answer)")
                #expect(declared?.text == answer.answer && answer.form == question.form?.name, "\(answer.answer)")
                #expect(answer.tokenIDs.count <= question.maxTokens)
            }
        }

        /// A thousand of each model in the long tests.
        @Test(arguments: [true, false])
        func `all answers of a trained and of a random model are valid`(isRandom: Bool) throws {
            let folder = try Folder()
            let analyzer = Analyzer(
                model: try nano(isRandom ? Shared.model : Self.nanoFolder), library: try folder.library())
            let count = LongRun.count(of: 1000) ?? 48
            var stops: Set<Answer.Stop> = []
            for start in stride(from: 0, to: count, by: 100) {
                let questions = Array(try Self.questions(min(start + 100, count)).dropFirst(start))
                let answers = try ask(questions, analyzer, isRandom ? Shared.video : Self.desk)
                expectValid(answers, questions)
                stops.formUnion(answers.map(\.stop))
            }
            #expect(stops.contains(.stopToken))
        }

        @Test func `different forms share a pass, and are the answers of single questions`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var questions = try Self.questions(12, maxTokens: 60)
            questions[4].form = nil
            var pieces = questions.map { _ in [String]() }
            let together = try ask(questions, analyzer) { index, piece in
                pieces[index].append(piece)
                return true
            }
            let alone = try questions.flatMap { try ask([$0], analyzer) }
            #expect(together.map(\.tokenIDs) == alone.map(\.tokenIDs))
            #expect(together.map(\.answer) == alone.map(\.answer) && together.map(\.value) == alone.map(\.value))
            #expect(together[4].form == nil && together[4].value == nil)
            // An answer in a form is written once, as it is in the end.
            for index in questions.indices where index != 4 { #expect(pieces[index] == [together[index].answer]) }
        }

        @Test func `an answer ends in time`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let schema = try AnswerSchema(json: AnswerFormTests.schemas[9])
            for limit in [50, 53, 60, 80] {
                var asked = question(maxTokens: limit)
                asked.form = .json(schema)
                asked.sample(temperature: 2, topP: 1, seed: UInt64(limit))
                let answers = try ask([asked], analyzer)
                expectValid(answers, [asked])
            }
            var text = question(maxTokens: 5)
            text.form = .text
            #expect(try ask([text], analyzer)[0].stop == .length)
        }

        @Test func `after the time limit an answer is completed on the shortest way`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let questions = try Self.questions(8).map { asked in
                var asked = asked
                asked.timeLimit = 0
                return asked
            }
            let answers = try ask(questions, analyzer)
            expectValid(answers, questions)
            #expect(answers.allSatisfy { $0.stop == .timeLimit })
            #expect(answers[3].tokenIDs.count <= 4)
        }

        @Test func `a limit that would change an answer's meaning is refused with the one that would do`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            func message(_ form: AnswerForm, _ limit: Int) -> String? {
                var asked = question(maxTokens: limit)
                asked.form = form
                do {
                    _ = try ask([asked], analyzer)
                    return nil
                } catch { return Failure(error).message }
            }
            #expect(
                message(.choice(["red", "dark red"]), 12)
                    == "an answer in the form choice may need 13 tokens, and the limit is 12: allow at least 13")
            #expect(message(.choice(["red", "dark red"]), 13) == nil)
            #expect(message(.yesNo, 3)?.hasSuffix("allow at least 4") == true && message(.yesNo, 4) == nil)
            let schema = try AnswerSchema(
                json: #"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#)
            #expect(
                message(.json(schema), 8)?.hasSuffix("allow at least 9") == true && message(.json(schema), 9) == nil)
        }

        @Test func `yes or no takes one token and no step after the prompt`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(Self.nanoFolder), library: try folder.library())
            var asked = question("Is there a red star?", maxTokens: 64)
            asked.form = .yesNo
            let answer = try ask([asked], analyzer, Self.desk)[0]
            #expect(answer.tokenIDs.count == 1 && answer.stop == .stopToken && answer.certainty ?? 0 > 0.5)
        }

        @Test func `an answer that must be seen and was not has no value`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(Self.nanoFolder), library: try folder.library())
            var asked = question("Where is the red star?", maxTokens: 64)
            asked.form = .choice(["on the left", "on the right"])
            asked.mustBeSeen = true
            let answer = try ask([asked], analyzer, Self.desk)[0]
            let isReplaced = answer.answer.hasPrefix("not found")
            #expect(isReplaced == !answer.found && isReplaced == (answer.value == nil))
            #expect(!isReplaced || answer.modelText != nil)
        }

        @Test func `values that deny are denials`() {
            for value: AnswerValue in [
                .bool(false), .number(0), .text("nothing"), .null, .list([]), .object(["a": .list([.number(0)])]),
            ] {
                #expect(value.isDenial)
            }
            for value: AnswerValue in [.bool(true), .number(1), .text("red"), .list([.bool(true)])] {
                #expect(!value.isDenial)
            }
        }

        @Test func `stored answers keep their form and value`() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let questions = try Self.questions(8)
            let answers = try ask(questions, analyzer)
            let id = try #require(answers.first?.recording.id)
            let stored = try library.answers(about: try #require(try library.recordings(matching: id).first))
            #expect(stored.map(\.value) == answers.map(\.value))
            #expect(stored.map(\.form) == answers.map { $0.form?.rawValue })
            for answer in answers {
                let line = try JSONText.line(answer)
                let read = try JSONDecoder().decode(Answer.self, from: Data(line.utf8))
                #expect(read.value == answer.value && read.form == answer.form)
                #expect(try JSONDecoder().decode(AnswerRecord.self, from: Data(line.utf8)).value == answer.value)
            }
        }
    }
}
