import Checkpoints
import Foundation
import Longtake
import Media
import Models
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// The whole way a user goes, from a file on disk to text, against what the reference said of the same content.
    ///
    /// The videos are the golden frames, coded without loss in RGB; records in f32.
    @Suite struct ReferenceAnswerTests {
        struct Flow: Decodable {
            let model: String
            let tokenizer: String
            let kind: String
            let question: String
            let image_aspect_ratio_override: String?
            let resolution_ratio_override: Int?
            let source: String
            let expected_text: String
        }

        struct Case: Decodable {
            let flows: [String: Flow]
            let video_fps: Double
            let video_frame_indices: [Int]
        }

        static let names = [
            "llama31.image_pad", "llama31.image_crop", "llama31.hires", "llama31.video", "llama31.video_hires",
            "vicuna.image_pad", "vicuna.video",
        ]
        static let source = golden + "/case11_end_to_end"

        @Test(arguments: names) func sameText(name: String) throws {
            let description = try JSONDecoder().decode(
                Case.self, from: Data(contentsOf: URL(filePath: Self.source + "/case.json")))
            #expect(Set(description.flows.keys) == Set(Self.names))
            let flow = try #require(description.flows[name])
            let expected = try SafetensorsFile(path: Self.source + "/expected.safetensors").tensors
            let ids = try #require(try expected[name + ".greedy_ids"]?.integers())
            let folder = try Folder()
            let model = try LoadedModel(
                path: Self.model(flow, in: folder), settings: ModelSettings(precision: .f32, threads: 2))
            #expect(model.stopIDs.isDisjoint(with: ids.map { Int32($0) }), "the reference did not stop there")
            let analyzer = Analyzer(model: model, library: try folder.library())
            let asked = Question(flow.question, maxTokens: ids.count)

            guard flow.kind == "video" else {
                let answer = try analyzer.ask(asked, aboutImage: Self.source + "/" + flow.source)
                #expect(answer.tokenIDs == ids.map { Int32($0) })
                #expect(answer.answer == flow.expected_text)
                return
            }
            let path = try Self.video(flow.source, framesPerSecond: description.video_fps, in: folder)
            var options = IndexOptions()
            options.record = .f32
            options.sampling = .reference
            let answer = try analyzer.ask(asked, about: path, options: options)
            #expect(answer.frames == description.video_frame_indices.count)
            #expect(answer.tokenIDs == ids.map { Int32($0) })
            #expect(answer.answer == flow.expected_text)

            let index = try #require(try analyzer.library.recordings().first).index
            let width = model.llava.fusion.tokensPerFrame * model.llava.hiddenSize
            let tokens = try storedTokens(analyzer.library, index, width: width)
            let wanted = try #require(try expected[name + ".compressed_per_frame"]?.floats())
            let worst = zip(tokens.joined(), wanted).map { abs($0 - $1) }.max() ?? .infinity
            print("reference \(name): vision tokens off by \(worst)")
            #expect(tokens.joined().count == wanted.count && worst <= 1e-4)

            // Records in half the bytes: the tokens point the same way.
            options.record = .standard
            let rounded = try analyzer.index(path, options: options)
            let halves = try storedTokens(analyzer.library, rounded.index, width: width)
            #expect(zip(halves, tokens).allSatisfy { Self.cosine($0, $1) >= 0.999 })
            let approximate = try analyzer.ask(asked, about: path, options: options)
            #expect(approximate.found && approximate.tokenIDs.count == ids.count)
        }

        /// One folder with weights, tokenizer and tower as a user has it; the flow's settings in its configuration.
        static func model(_ flow: Flow, in folder: Folder) throws -> String {
            let path = folder.path + "/model"
            try FileManager.default.copyItem(atPath: source + "/" + flow.model, toPath: path)
            let tokenizer = source + "/" + flow.tokenizer
            for file in try FileManager.default.contentsOfDirectory(atPath: tokenizer)
            where file.hasPrefix("tokenizer.json") || file == "tokenizer.model" || file.hasSuffix("_config.json")
                || file == "special_tokens_map.json"
            {
                try FileManager.default.copyItem(atPath: tokenizer + "/" + file, toPath: path + "/" + file)
            }
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            let tower = try #require(values["mm_vision_tower"] as? String)
            values["mm_vision_tower"] = source + "/" + flow.model + "/" + tower
            if let ratio = flow.resolution_ratio_override { values["resolution_ratio"] = ratio }
            if let aspect = flow.image_aspect_ratio_override { values["image_aspect_ratio"] = aspect }
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            return path
        }

        static func video(_ tensor: String, framesPerSecond: Double, in folder: Folder) throws -> String {
            let stored = try #require(try SafetensorsFile(path: source + "/inputs.safetensors").tensors[tensor])
            let raw = folder.path + "/frames.rgb"
            try Data([UInt8](stored.bytes)).write(to: URL(filePath: raw))
            let path = folder.path + "/frames.mp4"
            try ffmpeg([
                "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "\(stored.shape[2])x\(stored.shape[1])",
                "-framerate", "\(framesPerSecond)", "-i", raw, "-c:v", "libx264rgb", "-qp", "0", path,
            ])
            return path
        }

        private static func cosine(_ a: [Float], _ b: [Float]) -> Float {
            func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
            return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
        }
    }
}
