import Checkpoints
import Longtake
import Media
import Models
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// Recording attention while a model answers: it changes no logit, and the sums agree.
    @Suite struct AttentionRecorderTests {
        /// Ids, all logits, in order.
        private func run(_ model: LoadedModel, watch: AttentionRecorder?) throws -> (ids: [Int32], logits: [Float]) {
            let group = try Self.group(model)
            let tokens = try freshTokens(model, Shared.video)
            let fused = FusedPrompt(text: group.texts[0], visionTokens: tokens.count) { range, block in
                for index in range {
                    for column in 0..<block.columns {
                        block.rows(index - range.lowerBound..<index - range.lowerBound + 1).floats[column] =
                            tokens[index][column]
                    }
                }
            }
            var logits: [Float] = []
            let result = try model.llava.language.generate(
                fused, options: .greedy, maxTokens: 12, stopIDs: [], recorder: watch
            ) { _, values in
                logits += values
                return true
            }
            return (result.ids, logits)
        }

        private static func group(_ model: LoadedModel) throws -> PromptGroup {
            let group = try PromptGroup([try model.prompt("What happens in the video?").ids], model: model.llava)
            try eachFrame(model, Shared.video, framesPerSecond: 1) {
                group.add($0, frames: 1, model: model.llava)
            }
            return group
        }

        private func watch(_ model: LoadedModel, _ groups: [[AttentionHead]]) throws -> AttentionRecorder {
            let place = try #require(try model.prompt("What happens in the video?").ids.firstIndex(of: -200))
            return AttentionRecorder(groups: groups, tokens: place..<place + 12, tokensPerFrame: 1)
        }

        @Test(arguments: Backend.hasOneDNN ? [Precision.f32, .bf16] : [.f32])
        func answersAreTheSameToTheLastBit(precision: Precision) throws {
            let model = try nano(precision: precision)
            let config = model.llava.language.config
            let every = (0..<config.layerCount).flatMap { layer in
                (0..<config.headCount).map { AttentionHead(layer: layer, head: $0) }
            }
            let plain = try run(model, watch: nil)
            let watched = try run(model, watch: try watch(model, [every, [every[0]]]))
            #expect(plain.ids == watched.ids)
            #expect(plain.logits.map(\.bitPattern) == watched.logits.map(\.bitPattern))
            #expect(plain.logits.count == plain.ids.count * config.vocabularySize)
        }

        @Test func rowsAndFramesAddUp() throws {
            let model = try nano()
            let last = model.llava.language.config.layerCount - 1
            let first = AttentionHead(layer: 0, head: 0)
            let second = AttentionHead(layer: last, head: 1)
            let watch = try watch(model, [[first], [second], [first, second]])
            let ids = try run(model, watch: watch).ids
            #expect(watch.rows.allSatisfy { $0.count == ids.count })
            for (frames, rows) in zip(watch.frames, watch.rows) {
                #expect(frames.count == 12)
                let (ofFrames, ofRows) = (frames.reduce(0, +), rows.reduce(0, +))
                #expect(abs(ofFrames - ofRows) < 1e-9)
                #expect(rows.allSatisfy { $0 > 0 && $0 < 1 })
            }
            // A group is the mean of its heads.
            for frame in 0..<12 {
                let mean = (watch.frames[0][frame] + watch.frames[1][frame]) / 2
                #expect(abs(watch.frames[2][frame] - mean) < 1e-9)
            }
        }

        /// The stop id is written by no row of the answer.
        @Test func theStopTokensRowDoesNotCount() throws {
            let model = try nano()
            let free = try run(model, watch: nil).ids
            let stop = try #require(free.first { $0 != free[0] })
            let kept = free.prefix { $0 != stop }.count
            let group = try Self.group(model)
            let watch = try watch(model, [[AttentionHead(layer: 0, head: 0)]])
            let tokens = try freshTokens(model, Shared.video)
            let fused = FusedPrompt(text: group.texts[0], visionTokens: tokens.count) { range, block in
                for index in range {
                    for column in 0..<block.columns {
                        block.rows(index - range.lowerBound..<index - range.lowerBound + 1).floats[column] =
                            tokens[index][column]
                    }
                }
            }
            let result = try model.llava.language.generate(
                fused, options: .greedy, maxTokens: 12, stopIDs: [stop], recorder: watch
            ) { _, _ in true }
            #expect(result.stop == .stopToken && result.ids.count == kept + 1)
            #expect(watch.rows[0].count == kept)
        }
    }
}
