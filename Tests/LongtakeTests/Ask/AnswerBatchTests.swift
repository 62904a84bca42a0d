import Foundation
import Longtake
import Models
import Tensors
import TestSupport
import Testing

extension LongtakeTests {
    /// Answers generated together are those generated alone.
    @Suite struct AnswerBatchTests {
        /// 24 s, as 600 frames: more positions than a block of keys, so that answers read shared ones.
        private static let long = Result { () throws -> String in
            let path = Shared.model + "-long.mp4"
            try makeVideo(to: path, seconds: 24)
            return path
        }

        private static let texts = [
            "What happens?", "Is anybody there, and if so, what do they wear and where do they go?", "Why?",
            "Which color is the car that stands next to the house?", "How many people are there?", "When?",
            "What is on the table?", "Who comes in?", "Does it rain?", "What is behind the door?", "Where?",
            "Is it day or night?",
        ]

        /// Twelve questions that end after different numbers of tokens, some of them sampled.
        private static func questions(from: Double? = nil) -> [Question] {
            texts.enumerated().map { index, text in
                var asked = question(text, maxTokens: [9, 1, 14, 4, 11, 7, 2, 10, 8, 16, 3, 6][index])
                asked.from = from
                if index % 3 == 2 { asked.sample(temperature: 1.5, topP: 0.95, seed: UInt64(index)) }
                return asked
            }
        }

        private func ask(
            _ questions: [Question], _ analyzer: Analyzer, _ options: IndexOptions, _ video: String,
            every segment: Double? = nil, onText: (Int, String) -> Bool = { _, _ in true }
        ) throws -> [Answer] {
            var answers: [Answer] = []
            try analyzer.ask(
                questions, about: InputPath(video), options: options, every: segment, onText: onText
            ) { _, answer in answers.append(answer) }
            return answers
        }

        /// The same bits; without AVX-512, where the last bits of a library's f32 products depend on how many rows it
        /// multiplies at once, nearly the same.
        ///
        /// - Parameter step: what the values are rounded to.
        private static func areSame(_ together: [Double], _ alone: [Double], step: Double = 1e-8) -> Bool {
            guard !hasAVX512 else { return together == alone }
            return together.count == alone.count
                && zip(together, alone).allSatisfy { abs($0 - $1) <= 1e-5 * max(abs($0), abs($1)) + step }
        }

        private static let hasAVX512 =
            (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.contains("avx512f") == true

        private func expectSame(_ together: [Answer], _ alone: [Answer]) {
            #expect(together.map(\.question) == alone.map(\.question))
            for (a, b) in zip(together, alone) {
                #expect(a.tokenIDs == b.tokenIDs && a.answer == b.answer && a.stop == b.stop, "\(a.question)")
                #expect(a.found == b.found && a.evidence.map(\.frame) == b.evidence.map(\.frame), "\(a.question)")
                #expect(Self.areSame(a.certainty.map { [$0] } ?? [], b.certainty.map { [$0] } ?? []), "\(a.question)")
                #expect(Self.areSame(a.evidence.map(\.score), b.evidence.map(\.score), step: 2e-4), "\(a.question)")
                #expect(Self.areSame(a.attention.map(Double.init), b.attention.map(Double.init)), "\(a.question)")
                #expect(
                    Self.areSame(
                        a.foundScore.map { [Double($0)] } ?? [], b.foundScore.map { [Double($0)] } ?? [], step: 2e-4),
                    "\(a.question)")
                #expect(a.segment == b.segment && a.range == b.range && a.fusion == b.fusion, "\(a.question)")
            }
        }

        @Test(arguments: [(Precision.f32, "auto"), (.bf16, "auto"), (.int8, "auto"), (.f32, "int8"), (.bf16, "int8")])
        func `twelve questions get the answers of single ones, in order`(
            precision: Precision, keyValues: String
        ) throws {
            let folder = try Folder()
            let analyzer = Analyzer(
                model: try nano(precision: precision, keyValues: keyValues), library: try folder.library(),
                prefixCache: .now)
            var options = IndexOptions()
            options.framesPerSecond = 25
            let video = try Self.long.get()
            let questions = Self.questions()
            var pieces = questions.map { _ in "" }
            let together = try ask(questions, analyzer, options, video) { index, piece in
                pieces[index] += piece
                return true
            }
            #expect(together.count == 12 && together[0].frames == 600)
            // Half of them: sampled and not, ended by every limit.
            let some = LongRun.isWhole ? Array(questions.indices) : [1, 2, 4, 8, 9, 11]
            let alone = try some.flatMap { try ask([questions[$0]], analyzer, options, video) }
            expectSame(some.map { together[$0] }, alone)
            #expect(pieces == together.map(\.answer))
            #expect(Set(together.map(\.tokenIDs.count)).count > 5, "they end at different steps")
            for answer in together {
                #expect(answer.timings.decode >= 0 && answer.timings.prefill > 0 && answer.timings.firstToken > 0)
            }
        }

        @Test func `windows get the answers of single ranges`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let questions = Array(Self.questions(from: 0).prefix(2))
            let together = try ask(questions, analyzer, IndexOptions(), Shared.video, every: 2)
            #expect(together.count == 12)
            var alone: [Answer] = []
            for start in stride(from: 0.0, to: 12, by: 2) {
                for var asked in questions {
                    (asked.from, asked.to) = (start, start + 2)
                    alone += try ask([asked], analyzer, IndexOptions(), Shared.video)
                }
            }
            #expect(together.map(\.tokenIDs) == alone.map(\.tokenIDs))
            #expect(together.map(\.evidence) == alone.map(\.evidence))
            #expect(together.map(\.range) == alone.map(\.range))
        }

        @Test func `a second pass and an answer that must be seen are those of a single question`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var questions = Array(Self.questions().prefix(5))
            for index in questions.indices {
                questions[index].fusionFrames = 4
                if index != 1 { questions[index].focus = .frames(3) }
                questions[index].mustBeSeen = index == 2
            }
            let together = try ask(questions, analyzer, IndexOptions(), Shared.video)
            let alone = try questions.flatMap { try ask([$0], analyzer, IndexOptions(), Shared.video) }
            expectSame(together, alone)
            #expect(together.contains { $0.timings.fuse > 0 })
        }

        @Test func `a listener ends its own answer only`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let questions = (0..<3).map { question(Self.texts[$0], maxTokens: 30) }
            let whole = try ask(questions, analyzer, IndexOptions(), Shared.video)
            let ended = try ask(questions, analyzer, IndexOptions(), Shared.video) { index, _ in index != 1 }
            #expect(ended[1].stop == .cancelled && ended[1].tokenIDs.count < whole[1].tokenIDs.count)
            #expect(whole[1].tokenIDs.starts(with: ended[1].tokenIDs))
            expectSame([ended[0], ended[2]], [whole[0], whole[2]])
        }

        @Test func `a cancellation keeps the answers that are complete`() throws {
            let folder = try Folder()
            let cancellation = Cancellation()
            let analyzer = Analyzer(model: try nano(), library: try folder.library(), cancellation: cancellation)
            let questions = [200, 2, 200].enumerated().map { question(Self.texts[$0], maxTokens: $1) }
            var answered: [Int] = []
            let failed = code {
                var pieces = 0
                try analyzer.ask(
                    questions, about: InputPath(Shared.video), options: IndexOptions(),
                    onText: { index, _ in
                        pieces += index == 2 ? 1 : 0
                        if pieces == 5 { cancellation.cancel() }
                        return true
                    }
                ) { index, _ in answered.append(index) }
            }
            #expect(failed == "interrupted")
            #expect(answered == [1], "the first one is not complete, the second one is")
        }

        @Test func `with little memory, answers are generated one by one`() throws {
            let folder = try Folder()
            func analyzer(memory: Int64) throws -> Analyzer {
                var settings = ModelSettings(precision: .f32, threads: 2)
                settings.memory = memory
                return Analyzer(
                    model: try LoadedModel(path: Shared.model, settings: settings), library: try folder.library())
            }
            let questions = Array(Self.questions().prefix(4)).map { asked in
                var asked = asked
                asked.maxTokens = min(asked.maxTokens, 12)
                return asked
            }
            let alone = try questions.flatMap {
                try ask([$0], analyzer(memory: 1 << 30), IndexOptions(), Shared.video)
            }
            // The least memory, up to a factor of 1.1, in which they are answered at all.
            var (memory, together) = (Int64(1 << 14), [Answer]())
            while together.isEmpty, memory < 1 << 30 {
                memory += memory / 10
                together = (try? ask(questions, analyzer(memory: memory), IndexOptions(), Shared.video)) ?? []
            }
            expectSame(together, alone)
        }
    }
}
