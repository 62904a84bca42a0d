import Longtake
import Media
import Models
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// The second pass, fused with the frames of highest attention in the first.
    @Suite struct AskerFocusTests {
        private func asked(_ focus: FocusMode) -> Question {
            var asked = question(maxTokens: 10)
            asked.focus = focus
            return asked
        }

        @Test func secondAnswerIsFusedWithFramesOfHighestAttention() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let plain = try analyzer.ask(asked(.off), about: Shared.video)
            let answer = try analyzer.ask(asked(.frames(3)), about: Shared.video)
            let focus = try #require(answer.focus)
            #expect(focus.answer == plain.answer && focus.tokenIDs == plain.tokenIDs)
            #expect(focus.evidence == plain.evidence && focus.fusion == FusionSummary.exact(12))
            #expect(focus.frames.count == 3 && focus.frames == focus.frames.sorted())
            let strongest = plain.attention.indices.sorted { plain.attention[$0] > plain.attention[$1] }.prefix(3)
            #expect(Set(focus.frames) == Set(strongest))
            #expect(answer.fusion.frames == 3 && answer.fusion.of == 12)
            #expect(focus.changed.contains(.answer) == (answer.answer != plain.answer))
        }

        @Test func allFramesAgainChangeNothing() throws {
            let folder = try Folder()
            // An evidence head whose whole attention counts attends to every frame a little.
            let path = try EvidenceTests.model(["heads": [[1, 0]], "found": 0], in: folder)
            let analyzer = Analyzer(model: try nano(path), library: try folder.library())
            let plain = try analyzer.ask(asked(.off), about: Shared.video)
            let answer = try analyzer.ask(asked(.frames(12)), about: Shared.video)
            let focus = try #require(answer.focus)
            #expect(focus.frames == Array(0..<12) && focus.changed.isEmpty)
            #expect(answer.tokenIDs == plain.tokenIDs && answer.evidence == plain.evidence)
        }

        /// An answer that was fused with all frames gets no automatic second pass.
        @Test func automaticOnlyAfterASample() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            #expect(try analyzer.ask(asked(.automatic), about: Shared.video).focus == nil)
            // After a sample, a model of random weights is never certain.
            var sampled = asked(.automatic)
            sampled.fusionFrames = 4
            let first = try #require(try analyzer.ask(sampled, about: Shared.video).focus)
            let certainty = try #require(first.certainty)
            #expect(certainty > 0 && certainty < FocusMode.certain)
        }

        private static func source(_ analyzer: Analyzer, _ folder: Folder) throws -> FrameSource {
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let reader = try IndexReader(directory: analyzer.library.cache.path(indexID: made.index))
            return try Asker(analyzer.model).frames(of: reader)
        }

        private struct Gone: Error {}

        /// Text of the first pass is never shown; that of the second is streamed, unless the answer needs evidence.
        @Test(arguments: [false, true]) func secondPassIsStreamed(_ mustBeSeen: Bool) throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let source = try Self.source(analyzer, folder)
            var question = asked(.frames(3))
            question.mustBeSeen = mustBeSeen
            var pieces: [String] = []
            let answer = try Asker(analyzer.model).answer(question, about: source) {
                pieces.append($0)
                return false
            }
            #expect(answer.focus?.tokenIDs.isEmpty == false && pieces == [answer.answer])
            // Returning false at the first piece ends a streamed answer.
            #expect((answer.stop == .cancelled) == !mustBeSeen, "\(answer.stop)")
        }

        @Test func framesWithoutPatchesAreLeftOut() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let source = try Self.source(analyzer, folder)
            let asker = Asker(analyzer.model)
            let whole = try asker.answer(asked(.frames(2)), about: source)
            let best = try #require(whole.focus?.frames.first)
            // The first pass reads each frame once; then this one has lost its patches.
            let reads = Counter()
            let holed = source.readingPatches { frame, block in
                reads.value += 1
                if reads.value > 12, frame == best { throw Gone() }
                try source.patches(frame, block)
            }
            let answer = try asker.answer(asked(.frames(2)), about: holed)
            let focus = try #require(answer.focus)
            #expect(focus.frames.count == 2 && !focus.frames.contains(best))

            reads.value = 0
            let bare = source.readingPatches { frame, block in
                reads.value += 1
                if reads.value > 12 { throw Gone() }
                try source.patches(frame, block)
            }
            let kept = try asker.answer(asked(.frames(2)), about: bare)
            #expect(kept.focus == nil && kept.tokenIDs == whole.focus?.tokenIDs)
            #expect(kept.notes.contains { $0.hasPrefix("focus:") })
        }

        private final class Counter { var value = 0 }
    }
}
