import Checkpoints
import Foundation
import Longtake
import Models
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// The bundled model in int8, from a quantized folder and quantized while loading, against f32.
    @Suite struct QuantizedModelTests {
        private static let question = "What colour is the circle?"

        private struct Run {
            var index: String
            var tokens: [[Float]]
            var answer: [Int32]
        }

        /// Minutes 40 to 43 of the demo's recording.
        private func part(_ folder: Folder) throws -> String {
            let desk = fixtures.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Demo/desk.mp4")
            let part = folder.path + "/part.mp4"
            if !FileManager.default.fileExists(atPath: part) {
                try ffmpeg(["-ss", "2830", "-i", desk.path, "-t", "180", "-c", "copy", part])
            }
            return part
        }

        private func run(_ path: String, _ settings: ModelSettings, _ folder: Folder, _ name: String) throws -> Run {
            let model = try LoadedModel(path: path, settings: settings)
            let library = try folder.library(name)
            var options = IndexOptions()
            options.record = .f32
            let analyzer = Analyzer(model: model, library: library, prefixCache: .never)
            let video = try part(folder)
            let made = try analyzer.index(video, options: options)
            let answer = try analyzer.ask(Question(Self.question, maxTokens: 12), about: video, options: options)
            return Run(
                index: made.index, tokens: try storedTokens(library, made.index, width: model.llava.hiddenSize),
                answer: answer.tokenIDs)
        }

        private func cosine(_ a: [Float], _ b: [Float]) -> Double {
            let (ab, aa, bb) = zip(a, b).reduce((0.0, 0.0, 0.0)) { sum, pair in
                let (x, y) = (Double(pair.0), Double(pair.1))
                return (sum.0 + x * y, sum.1 + x * x, sum.2 + y * y)
            }
            return ab / (aa * bb).squareRoot()
        }

        @Test func `a quantized folder and one quantized while loading give the same bits, near f32`() throws {
            let folder = try Folder()
            let out = folder.path + "/int8"
            _ = try ModelQuantizer(path: bundledModel, vision: .int8, language: .int8, threads: 2).write(to: out)
            let exact = try run(bundledModel, ModelSettings(precision: .f32, threads: 2), folder, "f32")
            let loaded = try run(bundledModel, ModelSettings(precision: .int8, threads: 2), folder, "loaded")
            let stored = try run(out, ModelSettings(threads: 2), folder, "stored")
            #expect(loaded.tokens == stored.tokens && loaded.answer == stored.answer)
            #expect(exact.tokens.count == 180 && exact.answer == stored.answer)
            #expect(Set([exact.index, loaded.index, stored.index]).count == 3)
            let cosines = zip(exact.tokens, stored.tokens).map { cosine($0, $1) }
            let lowest = cosines.min() ?? 0
            print("vision tokens in int8: lowest cosine to f32 \(lowest), mean \(cosines.reduce(0, +) / 180)")
            #expect(lowest >= 0.995)
        }

        @Test func `a matrix that a folder keeps is kept while loading, too`() throws {
            let folder = try Folder()
            let source = folder.path + "/model"
            try FileManager.default.copyItem(atPath: Shared.model, toPath: source)
            let spiked = "model.prefusion_layers.1.mlp.up_proj.weight"
            try editWeights(source) { name, values in
                if name == spiked { for row in 0..<values.count / 192 { values[row * 192] = 10 } }
            }
            let out = folder.path + "/int8"
            let quantizer = try ModelQuantizer(path: source, vision: .int8, language: .int8, threads: 1)
            #expect(try quantizer.write(to: out).kept == [spiked])
            let loaded = try run(source, ModelSettings(precision: .int8, threads: 1), folder, "loaded")
            let stored = try run(out, ModelSettings(threads: 2), folder, "stored")
            #expect(loaded.tokens == stored.tokens && loaded.answer == stored.answer)
            let exact = try run(source, ModelSettings(precision: .f32, threads: 2), folder, "f32")
            let lowest = zip(exact.tokens, stored.tokens).map { cosine($0, $1) }.min() ?? 0
            #expect(lowest > 0.99)
        }

        @Test func `on a quantized folder the precision is that of the activations`() throws {
            let folder = try Folder()
            let out = folder.path + "/int8"
            _ = try ModelQuantizer(path: bundledModel, vision: .int8, language: .int4, threads: 2).write(to: out)
            let wide = try LoadedModel(path: out, settings: ModelSettings(precision: .f32, threads: 1))
            #expect(wide.compute.precision == .f32)
            let narrow = try LoadedModel(path: out, settings: ModelSettings(precision: .bf16, threads: 1))
            #expect(narrow.compute.precision == .bf16)
            let both = [Precision.int8, nil].map { ModelSettings(precision: $0, threads: 1) }
            let identities = try both.map { try ModelIdentity(path: out, settings: $0)?.precision }
            #expect(identities[0] == identities[1] && identities[0]?.hasPrefix("int8") == true)
            let inspection = try ModelInspection(path: out)
            #expect(inspection.quantization?.language == "int4" && inspection.quantization?.kept == [])
        }

        @Test func `parity refuses what differs by design`() throws {
            let folder = try Folder()
            let case0 = golden + "/case12b_tower_in_checkpoint_used"
            #expect(
                code {
                    _ = try ParityRunner.run(folder: case0, settings: ModelSettings(precision: .int8, threads: 1))
                } == "bad_request")
            let out = folder.path + "/case"
            _ = try ModelQuantizer(path: case0, vision: .int8, language: .int8, threads: 1).write(to: out)
            for name in ["inputs.safetensors", "expected.safetensors"] {
                try FileManager.default.copyItem(atPath: case0 + "/" + name, toPath: out + "/" + name)
            }
            let error = try #require(throws: (any Error).self) {
                _ = try ParityRunner.run(folder: out, settings: ModelSettings(threads: 1))
            }
            #expect("\(error)".contains("is quantized"))
        }
    }
}
