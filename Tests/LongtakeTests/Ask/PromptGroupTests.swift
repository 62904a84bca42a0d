import Checkpoints
import Longtake
import Media
import Models
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// Several prompts over the same frames: what they share is computed once, and nothing changes by it.
    @Suite struct PromptGroupTests {
        private static let questions = [
            "What happens in the video?", "Who comes in?", "What is on the table in the second half of it?",
        ]

        @Test func fusedSuffixesEqualThoseOfWholePrompts() throws {
            let model = try nano()
            let llava = model.llava
            let prompts = try Self.questions.map { try model.prompt($0).ids }
            let group = try PromptGroup(prompts, model: llava)
            #expect(group.sharedIDs > 10 && group.sharedIDs < prompts.map(\.count).min() ?? 0)
            let wholes = try prompts.map { try TextFusion(ids: $0, model: llava) }
            let tokens = llava.fusion.tokensPerFrame
            try eachFrame(model, Shared.video, framesPerSecond: 1) { patches in
                group.add(patches, frames: 1, model: llava)
                for whole in wholes {
                    let rows = llava.fuse(patches: patches, frames: 1, text: whole.embeddings)
                    whole.add(rows.rows(tokens..<rows.rows))
                }
            }
            let width = llava.hiddenSize
            let shared = Buffer<Float>(count: width)
            let alone = Buffer<Float>(count: width)
            var worst: Float = 0
            for (place, ids) in prompts.enumerated() {
                for index in ids.indices where ids[index] > 0 {
                    group.texts[place].write(index, into: shared.pointer)
                    wholes[place].write(index, into: alone.pointer)
                    for i in 0..<width { worst = max(worst, abs(shared.pointer[i] - alone.pointer[i])) }
                }
            }
            #expect(worst < 1e-4)
        }

        @Test func answersAreThoseOfSingleQuestions() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let questions = Self.questions.map { Question($0, maxTokens: 12) }
            var together: [Answer] = []
            try analyzer.ask(questions, about: InputPath(Shared.video), options: IndexOptions()) { place, answer in
                #expect(place == together.count)
                together.append(answer)
            }
            #expect(together.map(\.question) == Self.questions)
            for (question, answer) in zip(questions, together) {
                let alone = try analyzer.ask(question, about: Shared.video)
                #expect(alone.tokenIDs == answer.tokenIDs)
                #expect(alone.answer == answer.answer)
                #expect(alone.fusion == answer.fusion)
            }
        }

        @Test func promptsThatDifferBeforeTheRecordingAreRefused() throws {
            let llava = try nano().llava
            #expect(throws: ModelError.self) {
                try PromptGroup(
                    [[5, 6, TextFusion.imageTokenIndex, 7], [5, 8, TextFusion.imageTokenIndex, 7]], model: llava)
            }
        }
    }
}
