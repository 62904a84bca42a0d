import Checkpoints
import Foundation
import Longtake
import Media
import Models
import Store
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// LLaVA-v1.5: a small random checkpoint of transformers, and the same weights in the layout of the original code.
    ///
    /// Expected values: `python -m longtake_training.oracles.llava`.
    @Suite struct LlavaTests {
        static let folder = fixtures.appending(path: "llava").path
        static let layouts = ["hf", "original"]

        struct Case: Decodable {
            struct Flow: Decodable {
                let question: String
                let source: String
                let expected_text: String
            }
            let flows: [String: Flow]
            let video_fps: Double
        }

        static func flow(_ name: String) throws -> (Case.Flow, ids: [Int32]) {
            let description = try JSONDecoder().decode(
                Case.self, from: Data(contentsOf: URL(filePath: folder + "/case.json")))
            let expected = try SafetensorsFile(path: folder + "/expected.safetensors").tensors
            let ids = try #require(try expected[name + ".greedy_ids"]?.integers())
            return (try #require(description.flows[name]), ids.map { Int32($0) })
        }

        static func load(_ path: String) throws -> LoadedModel {
            try LoadedModel(path: path, settings: ModelSettings(precision: .f32, threads: 2))
        }

        /// Frames of the flows as a video without loss, one frame per second.
        static func video(in folder: Folder) throws -> String {
            let inputs = try SafetensorsFile(path: Self.folder + "/inputs.safetensors").tensors
            let frames = try #require(inputs["video.frames_uint8"])
            let raw = folder.path + "/frames.rgb", path = folder.path + "/frames.mp4"
            try Data([UInt8](frames.bytes)).write(to: URL(filePath: raw))
            try ffmpeg([
                "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "\(frames.shape[2])x\(frames.shape[1])",
                "-framerate", "1", "-i", raw, "-c:v", "libx264rgb", "-qp", "0", path,
            ])
            return path
        }

        /// Full logits of a short prompt for each layout; prompts, pixels, first logits and texts of the flows.
        @Test(arguments: ["", "/hf", "/original"], Backend.allCases.filter { $0 != .oneDNN || Backend.hasOneDNN })
        func `agrees with transformers`(name: String, backend: Backend) throws {
            let report = try ParityRunner.run(
                folder: Self.folder + name, precision: .f32, backend: backend, threads: 2)
            print("parity llava\(name) \(backend.rawValue): \(report.summary)")
            for tensor in report.tensors {
                #expect(tensor.withinTolerance && tensor.absolute <= tensor.tolerance, "\(tensor)")
                #expect(tensor.tolerance <= (tensor.name.contains("logits") ? 2e-4 : 1e-4), "\(tensor.name)")
            }
            for greedy in report.greedy { #expect(greedy.equal && greedy.required, "\(greedy)") }
            #expect(report.passed)
            // What nobody compares proves nothing.
            let compared = Set(report.tensors.map(\.name) + report.greedy.map(\.name))
            let expected = try SafetensorsFile(path: Self.folder + name + "/expected.safetensors").tensors.keys
            #expect(Set(expected).subtracting(compared).sorted() == [])
        }

        @Test(arguments: layouts) func `answers about a picture`(layout: String) throws {
            let (flow, ids) = try Self.flow(layout + ".image")
            let analyzer = Analyzer(model: try Self.load(Self.folder + "/" + layout), library: try Folder().library())
            let answer = try analyzer.ask(
                Question(flow.question, maxTokens: ids.count), aboutImage: Self.folder + "/" + flow.source)
            #expect(answer.tokenIDs == ids)
            #expect(answer.answer == flow.expected_text)
        }

        /// Other names of the same tensors: of the published files, and of a running model of transformers 4.52 to 5.
        @Test(arguments: ["published", "running"]) func `reads all names of transformers`(kind: String) throws {
            let folder = try Folder()
            let path = folder.path + "/model"
            try FileManager.default.copyItem(atPath: Self.folder + "/hf", toPath: path)
            let file = try SafetensorsFile(path: Self.folder + "/hf/model.safetensors")
            let tensors = file.names.compactMap { file.tensors[$0] }
            func renamed(_ name: String) -> String {
                let published = name.replacing(/^vision_tower\./, with: "vision_tower.vision_model.")
                guard kind == "running" else { return published }
                return "model." + published.replacing(/^language_model\.model\./, with: "language_model.")
            }
            try FileManager.default.removeItem(atPath: path + "/model.safetensors")
            let writer = try SafetensorsWriter(
                path: path + "/model.safetensors",
                entries: tensors.map {
                    let name =
                        $0.name.hasPrefix("language_model.lm_head.") && kind == "running"
                        ? "lm_head.weight" : renamed($0.name)
                    return .init(name: name, type: $0.type, shape: $0.shape)
                })
            for tensor in tensors { try writer.write(tensor.bytes) }
            try writer.finish()

            let (flow, ids) = try Self.flow("hf.image")
            let analyzer = Analyzer(model: try Self.load(path), library: try folder.library())
            let answer = try analyzer.ask(
                Question(flow.question, maxTokens: ids.count), aboutImage: Self.folder + "/" + flow.source)
            #expect(answer.tokenIDs == ids)
        }

        @Test(arguments: layouts) func `answers about an indexed clip`(layout: String) throws {
            let (flow, ids) = try Self.flow(layout + ".video")
            let folder = try Folder()
            let path = try Self.video(in: folder)
            let model = try Self.load(Self.folder + "/" + layout)
            let analyzer = Analyzer(model: model, library: try folder.library())
            var options = IndexOptions()
            options.record = .f32
            options.sampling = .reference
            let question = Question(flow.question, maxTokens: ids.count)
            let answer = try analyzer.ask(question, about: path, options: options)
            #expect(answer.tokenIDs == ids)
            #expect(answer.answer == flow.expected_text)
            #expect(answer.fusion == FusionSummary(frames: 0, of: answer.frames, relativeStandardError: 0))

            let index = try #require(try analyzer.library.recordings().first).index
            let expected = try SafetensorsFile(path: Self.folder + "/expected.safetensors").tensors
            let wanted = try #require(try expected[layout + ".video.compressed_per_frame"]?.floats())
            let stored = try storedTokens(
                analyzer.library, index, width: model.llava.fusion.tokensPerFrame * model.llava.hiddenSize)
            #expect(stored.count == answer.frames)
            let found = Array(stored.joined())
            try #require(found.count == wanted.count)
            let worst = zip(found, wanted).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-4)

            // The same from the index alone, and from the records of half the bytes; they keep nothing but tokens.
            #expect(try analyzer.ask(question, about: path, options: options).tokenIDs == ids)
            options.record = .standard
            options.keep = .patches
            let halves = try analyzer.index(path, options: options)
            let reader = try IndexReader(directory: analyzer.library.cache.path(indexID: halves.index))
            #expect(reader.layout.parts.map(\.name) == ["token"])
            #expect(reader.manifest.patches.files.isEmpty && reader.hasAllPatches)
            #expect(try analyzer.ask(question, about: path, options: options).tokenIDs.count == ids.count)
            #expect(try analyzer.library.recordings().count == 2)
        }

        @Test func `a range that does not fit is refused with the numbers`() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try Self.load(Self.folder + "/hf"), library: try folder.library())
            let prompt = try analyzer.model.prompt("What happens?").ids.count - 1
            // 256 positions: 12 frames of 16 tokens do not fit, the frames that the message names do.
            let other = prompt + 8
            let fitting = (256 - other) / 16
            try #require((1..<12).contains(fitting))
            var question = Question("What happens?", maxTokens: 8)
            do {
                _ = try analyzer.ask(question, about: Shared.video)
                Issue.record("the question was answered")
            } catch {
                let failure = Failure(error)
                #expect(failure.code == "context_exceeded" && failure.exitCode == 15)
                let needed = 12 * 16 + other
                #expect(failure.message.contains("the prompt needs \(needed) positions and the model has 256"))
                #expect(failure.message.contains("12 frames at 16 each and \(other) for text and answer"))
                #expect(failure.message.contains("\(fitting) frames would fit"))
            }
            question.to = Double(fitting)
            #expect(try analyzer.ask(question, about: Shared.video).frames == fitting)
            question.to = Double(fitting + 1)
            #expect(code { _ = try analyzer.ask(question, about: Shared.video) } == "context_exceeded")
        }

        @Test func `is inspected and quantized`() throws {
            for layout in Self.layouts {
                let inspection = try ModelInspection(path: Self.folder + "/" + layout)
                #expect(inspection.kind == "llava" && inspection.tokensPerFrame == 16)
                #expect(inspection.tower == (layout == "hf" ? "inside_checkpoint" : "folder"))
                #expect(inspection.cost.parts.map(\.part.rawValue) == ["language", "projector", "vision"])
                // 16 tokens of 48 values in 2 bytes, and nothing else.
                #expect(inspection.cost.frameRecordBytes == 16 * 48 * 2)

                let folder = try Folder()
                let out = folder.path + "/int8"
                let choice = try QuantizationChoice(vision: "int8", language: "int8")
                _ = try choice.quantize(Self.folder + "/" + layout, to: out, threads: 2) { _, _ in }
                let copy = try CheckpointFolder(path: out)
                try copy.validate()
                // 7 matrices in each of 2 layers and the output layer; 6 in each of 3 layers; 2 of the projector.
                let quantized = copy.quantizedCounts.values.reduce(0, +)
                #expect(quantized == 7 * 2 + 1 + 6 * 3 + 2)
                let (flow, ids) = try Self.flow(layout + ".image")
                let analyzer = Analyzer(
                    model: try LoadedModel(path: out, settings: ModelSettings(threads: 2)),
                    library: try folder.library())
                let answer = try analyzer.ask(
                    Question(flow.question, maxTokens: ids.count), aboutImage: Self.folder + "/" + flow.source)
                #expect(!answer.tokenIDs.isEmpty)
            }
        }
    }
}
