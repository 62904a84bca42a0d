import Foundation
import Longtake
import Models
import Testing

extension LongtakeTests {
    /// Which seconds an answer was read from.
    @Suite struct EvidenceTests {
        private static func intervals(_ mass: [Double], seconds: Double = 1, first: Int = 0) -> [Evidence] {
            let numbers = mass.indices.map { first + $0 }
            return Evidence.intervals(
                mass, times: numbers.map { Double($0) * seconds }, frameNumbers: numbers, frameSeconds: seconds)
        }

        @Test func intervalsAreMergedOverTwoFramesAndNotOverThree() {
            #expect(Self.intervals([0, 0, 5, 0, 0, 5, 0, 0]).map { [$0.start, $0.end] } == [[2, 6]])
            let apart = Self.intervals([0, 0, 6, 0, 0, 0, 4, 0])
            #expect(apart.map { [$0.start, $0.end] } == [[2, 3], [6, 7]])
            #expect(apart.map(\.score) == [0.6, 0.4] && apart.map(\.frame) == [2, 6])
        }

        @Test func theStrongestComesFirst() {
            let found = Self.intervals([3, 0, 0, 0, 0, 1, 5, 1, 0, 0], first: 100)
            #expect(
                found == [
                    Evidence(start: 105, end: 108, score: 0.7, frame: 106),
                    Evidence(start: 100, end: 101, score: 0.3, frame: 100),
                ])
        }

        @Test func timesAreThoseOfTheSampling() {
            let found = Self.intervals([0, 1, 1, 0], seconds: 0.5, first: 10)
            #expect(found.map { [$0.start, $0.end] } == [[5.5, 6.5]])
        }

        @Test func nothingSeenIsNoEvidence() {
            #expect(Self.intervals([]).isEmpty)
            #expect(Self.intervals([0, 0, 0]).isEmpty)
        }

        /// Frames that are missing from the index separate intervals.
        @Test func missingFramesSeparate() {
            let found = Evidence.intervals([1, 1], times: [3, 9], frameNumbers: [3, 9], frameSeconds: 1)
            #expect(found.map(\.start) == [3, 9])
        }

        @Test(arguments: [
            ("no", true), ("Nothing.", true), ("there is no red ring", true), ("it does not move", true),
            ("It doesn't change.", true), ("yes", false), ("a red ring", false), ("", false), ("a notice board", false),
        ])
        func denials(text: String, isDenial: Bool) {
            #expect(Answer.isDenial(text) == isDenial)
        }

        /// The shared model, its config naming heads.
        static func model(_ evidence: [String: Any], in folder: Folder) throws -> String {
            let path = folder.path + "/model-\(UUID().uuidString)"
            try FileManager.default.copyItem(atPath: Shared.model, toPath: path)
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            values["longtake_evidence"] = evidence
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            return path
        }

        @Test func anAnswerSaysWhatItWasReadFrom() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let answer = try analyzer.ask(question(maxTokens: 12), about: Shared.video)
            #expect(answer.found && answer.foundScore == nil && answer.modelText == nil)
            #expect(answer.attention.count == 12)
            #expect(answer.evidence.count <= 3)
            let scores = answer.evidence.map(\.score)
            #expect(scores == scores.sorted(by: >) && scores.reduce(0, +) <= 1.0001)
            for interval in answer.evidence {
                #expect(interval.start >= 0 && interval.end <= 12 && interval.start < interval.end)
                #expect(Double(interval.frame) >= interval.start && Double(interval.frame) < interval.end)
            }
            var asked = question(maxTokens: 12)
            asked.evidenceLimit = 0
            let bare = try analyzer.ask(asked, about: Shared.video)
            #expect(bare.evidence.isEmpty && bare.tokenIDs == answer.tokenIDs)
            let json = try JSONEncoder().encode(answer)
            let again = try JSONDecoder().decode(Answer.self, from: json)
            #expect(again.evidence == answer.evidence && again.attention.isEmpty)
        }

        /// Frames of a range are numbered as in the whole recording.
        @Test func aRangeKeepsTheRecordingsTimes() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var asked = question(maxTokens: 12)
            (asked.from, asked.to) = (5, 9)
            asked.evidenceLimit = 10
            let answer = try analyzer.ask(asked, about: Shared.video)
            #expect(answer.attention.count == 4)
            for interval in answer.evidence { #expect(interval.start >= 5 && interval.end <= 9 && interval.frame >= 5) }
        }

        @Test func severalQuestionsHaveTheEvidenceOfSingleOnes() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let asked = ["What happens in the video?", "Who comes in?"].map { question($0, maxTokens: 8) }
            var together: [Answer] = []
            try analyzer.ask(asked, about: InputPath(Shared.video), options: IndexOptions()) { together.append($1) }
            for (one, answer) in zip(asked, together) {
                let alone = try analyzer.ask(one, about: Shared.video)
                #expect(alone.evidence.map(\.frame) == answer.evidence.map(\.frame))
                let worst = zip(alone.attention, answer.attention).map { abs($0 - $1) }.max() ?? 1
                #expect(worst < 1e-4)
            }
        }

        @Test func belowTheThresholdNothingIsSeen() throws {
            let folder = try Folder()
            let path = try Self.model(["heads": [[1, 0], [2, 1]], "found": 1], in: folder)
            let analyzer = Analyzer(model: try nano(path), library: try folder.library())
            let answer = try analyzer.ask(question(), about: Shared.video)
            #expect(!answer.found && answer.evidence.isEmpty)
            let score = try #require(answer.foundScore)
            #expect(score > 0 && score < 1)
            // The model's text stays: a right answer may have no evidence.
            #expect(answer.modelText == nil && answer.answer != "not found in this recording")
            var asked = question()
            asked.mustBeSeen = true
            var heard = ""
            let strict = try analyzer.ask(
                asked, about: InputPath(Shared.video), options: IndexOptions(),
                onText: {
                    heard += $0
                    return true
                })
            if Answer.isDenial(answer.answer) {
                #expect(strict.answer == answer.answer)
            } else {
                #expect(strict.answer == "not found in this recording" && strict.modelText == answer.answer)
            }
            #expect(heard == strict.answer, "the streamed text is the final answer")
            #expect(strict.tokenIDs == answer.tokenIDs)
        }

        @Test func aboveTheThresholdItIsSeen() throws {
            let folder = try Folder()
            let path = try Self.model(["heads": [[2, 3]], "found": 0], in: folder)
            let analyzer = Analyzer(model: try nano(path), library: try folder.library())
            let answer = try analyzer.ask(question(), about: Shared.video)
            #expect(answer.found && !answer.evidence.isEmpty && answer.foundScore != nil)
        }

        @Test(arguments: [
            "{}", "{\"heads\":[]}", "{\"heads\":[[9,0]]}", "{\"heads\":[[0,0]]}", "{\"heads\":[[1,99]]}",
            "{\"heads\":[[1]]}", "{\"heads\":[1,2]}", "{\"heads\":[[1,0]],\"found\":2}", "3",
        ])
        func faultyConfigurationsAreRefused(text: String) throws {
            let folder = try Folder()
            let path = try Self.model([:], in: folder)
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            values["longtake_evidence"] = try JSONSerialization.jsonObject(
                with: Data(text.utf8), options: .fragmentsAllowed)
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            let refused = code { _ = try nano(path) }
            #expect(["config_invalid", "config_out_of_range"].contains(refused))
        }
    }
}
