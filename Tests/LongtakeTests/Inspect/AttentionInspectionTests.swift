import Checkpoints
import Foundation
import Longtake
import Media
import Testing

extension LongtakeTests {
    /// Shares of attention and entropies against transformers' own attention weights, over the same prompts and answers.
    ///
    /// Expected values: `python -m longtake_training.oracles.attention`.
    @Suite struct AttentionInspectionTests {
        private struct Case: Decodable {
            struct Flow: Decodable {
                struct Layer: Decodable {
                    let instruction_rows: [String: Double]
                    let answer_rows: [String: Double]
                }
                let vision_tokens: Int
                let instruction_rows: Int
                let answer_rows: Int
                let layers: [Layer]
            }
            let flows: [String: Flow]
        }

        private static let tolerance = 1e-4
        private static let mini = ["llama31.image_pad", "llama31.video", "vicuna.image_pad", "vicuna.video"]
        private static let llava = ["hf.image", "hf.video", "original.image", "original.video"]

        private static func expected(_ name: String) throws -> Case.Flow {
            let file = fixtures.appending(path: "attention/shares.json")
            let flows = try JSONDecoder().decode(Case.self, from: Data(contentsOf: file)).flows
            #expect(Set(flows.keys) == Set(mini + llava))
            return try #require(flows[name])
        }

        /// The largest deviation of a share; that of an entropy in bits is compared too.
        private func compare(_ found: AttentionInspection, _ wanted: Case.Flow, _ name: String) {
            #expect(found.visionTokens == wanted.vision_tokens && found.instructionRows == wanted.instruction_rows)
            #expect(found.answerRows == wanted.answer_rows && found.layers.count == wanted.layers.count)
            var worst = 0.0
            for (layer, golden) in zip(found.layers, wanted.layers) {
                for (shares, values) in [
                    (layer.instructionRows as AttentionInspection.Shares?, golden.instruction_rows),
                    (layer.answerRows, golden.answer_rows),
                ] {
                    guard let shares else {
                        Issue.record("\(name): layer \(layer.layer) has no rows")
                        continue
                    }
                    for (key, value) in [
                        ("vision", shares.vision), ("instruction", shares.instruction), ("answer", shares.answer),
                        ("vision_entropy_bits", shares.visionEntropy),
                    ] {
                        let off = abs(value - (values[key] ?? .infinity))
                        #expect(off <= Self.tolerance, "\(name), layer \(layer.layer), \(key): \(value)")
                        worst = max(worst, off)
                    }
                    #expect(abs(shares.vision + shares.instruction + shares.answer - 1) <= 1e-5)
                }
            }
            print("attention \(name): off by \(worst)")
        }

        @Test(arguments: mini) func `LLaVA-Mini attends as in PyTorch`(name: String) throws {
            let source = ReferenceAnswerTests.source
            let description = try JSONDecoder().decode(
                ReferenceAnswerTests.Case.self, from: Data(contentsOf: URL(filePath: source + "/case.json")))
            let flow = try #require(description.flows[name])
            let wanted = try Self.expected(name)
            let folder = try Folder()
            let model = try LoadedModel(
                path: ReferenceAnswerTests.model(flow, in: folder),
                settings: ModelSettings(precision: .f32, threads: 2))
            let analyzer = Analyzer(model: model, library: try folder.library())
            let question = Question(flow.question, maxTokens: wanted.answer_rows)
            guard flow.kind == "video" else {
                let path = InputPath(source + "/" + flow.source)
                return compare(try analyzer.inspectAttention(question, aboutImage: path), wanted, name)
            }
            let path = try ReferenceAnswerTests.video(
                flow.source, framesPerSecond: description.video_fps, in: folder)
            compare(
                try analyzer.inspectAttention(question, about: InputPath(path), options: Self.options), wanted, name)
        }

        @Test(arguments: llava) func `LLaVA-v1.5 attends as in PyTorch`(name: String) throws {
            let (flow, _) = try LlavaTests.flow(name)
            let wanted = try Self.expected(name)
            let folder = try Folder()
            let layout = name.hasPrefix("hf") ? "/hf" : "/original"
            let analyzer = Analyzer(
                model: try LlavaTests.load(LlavaTests.folder + layout), library: try folder.library())
            let question = Question(flow.question, maxTokens: wanted.answer_rows)
            guard name.hasSuffix("video") else {
                let path = InputPath(LlavaTests.folder + "/" + flow.source)
                return compare(try analyzer.inspectAttention(question, aboutImage: path), wanted, name)
            }
            let path = InputPath(try LlavaTests.video(in: folder))
            compare(try analyzer.inspectAttention(question, about: path, options: Self.options), wanted, name)
        }

        private static var options: IndexOptions {
            var options = IndexOptions()
            options.record = .f32
            options.sampling = .reference
            return options
        }
    }
}
