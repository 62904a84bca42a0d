import Checkpoints
import Foundation
import Longtake
import Media
import Tensors
import Testing

extension LongtakeTests {
    /// Embeddings of words and pixels against what the reference made of the same.
    @Suite struct EmbedderTests {
        static let folder = "\(golden)/case07_clip"
        static let pairs = ["clipmodel_legacy_eos2", "clipmodel_eos_last"]
        /// Of case.json, for both.
        static let texts = [
            "a photo of a cat", "two dogs, running in the street at night", "a red car", "What is the man doing?",
        ]
        static let side = 56

        private func embedder(_ path: String, precision: Precision? = nil) throws -> Embedder {
            try Embedder(path: path, settings: ModelSettings(precision: precision, threads: 2))
        }

        private func expected(_ name: String) throws -> [[Float]] {
            let tensors = try SafetensorsFile(path: Self.folder + "/expected.safetensors").tensors
            let tensor = try #require(tensors[name])
            let (values, width) = (try tensor.floats(), tensor.shape[1])
            return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
        }

        /// The pixels that the reference's input was made of.
        private func pictures(_ name: String) throws -> [RGBImage] {
            let tensors = try SafetensorsFile(path: Self.folder + "/inputs.safetensors").tensors
            let values = try #require(try tensors["\(name).pixel_values"]?.floats())
            let preprocessing = ImagePreprocessing.clip(side: Self.side)
            let area = Self.side * Self.side
            return stride(from: 0, to: values.count, by: 3 * area).map { first in
                let pixels = (0..<3 * area).map { index -> UInt8 in
                    let channel = index % 3
                    let value = values[first + channel * area + index / 3]
                    let byte = (value * preprocessing.std[channel] + preprocessing.mean[channel]) * 255
                    #expect(abs(byte - byte.rounded()) < 1e-3)
                    return UInt8(byte.rounded())
                }
                return RGBImage(width: Self.side, height: Self.side, pixels: pixels)
            }
        }

        private func compare(_ found: [[Float]], _ wanted: [[Float]], within limit: Float = 1e-4) {
            #expect(found.count == wanted.count && !found.isEmpty)
            for (row, expected) in zip(found, wanted) {
                #expect(row.count == expected.count)
                let worst = zip(row, expected).map { abs($0 - $1) }.max() ?? .infinity
                #expect(worst <= limit, "off by \(worst)")
                #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
            }
        }

        @Test(arguments: pairs) func texts(name: String) throws {
            let embedder = try embedder("\(Self.folder)/\(name)")
            let wanted = try expected("\(name).text_embeds_normalised")
            compare(try Self.texts.map { try embedder.embed(text: $0) }, wanted)
            #expect(embedder.size == 48 && embedder.maxTokens == 32)
        }

        @Test(arguments: pairs) func picturesAndFrames(name: String) throws {
            let embedder = try embedder("\(Self.folder)/\(name)")
            let wanted = try expected("\(name).image_embeds_normalised")
            let pictures = try pictures(name)
            compare(try pictures.map { try embedder.embed(image: $0) }, wanted)
            let frames = pictures.map { picture in
                var frame = Frame()
                frame.rgb = picture.pixels
                return frame
            }
            compare(try embedder.embed(frames: frames), wanted)
            // More than a batch, and as the last of several parts.
            let many = (0..<70).map { index in
                var frame = frames[index % frames.count]
                if index.isMultiple(of: 2) { frame.rgb = frames[0].rgb + frame.rgb }
                return frame
            }
            compare(try embedder.embed(frames: many), many.indices.map { wanted[$0 % wanted.count] })
            let folder = try Folder()
            let files = try pictures.enumerated().map { index, picture in
                let path = "\(folder.path)/\(index).png"
                try Data(StillImage.encodePNG(picture)).write(to: URL(filePath: path))
                return path
            }
            compare(try files.map { try embedder.embed(imageFile: InputPath($0)) }, wanted)
        }

        @Test func halvesGiveTheSameDirection() throws {
            guard Backend.hasOneDNN else { return }
            let name = Self.pairs[1]
            let embedder = try embedder("\(Self.folder)/\(name)", precision: .bf16)
            let wanted = try expected("\(name).text_embeds_normalised") + expected("\(name).image_embeds_normalised")
            let found =
                try Self.texts.map { try embedder.embed(text: $0) }
                + pictures(name).map { try embedder.embed(image: $0) }
            for (row, expected) in zip(found, wanted) {
                #expect(zip(row, expected).reduce(0) { $0 + $1.0 * $1.1 } > 0.999)
            }
        }

        @Test func aLongTextIsCutAndKeepsItsEnd() throws {
            let embedder = try embedder("\(Self.folder)/\(Self.pairs[1])")
            let long = String(repeating: "a red car ", count: 100)
            // Text after the context length changes nothing, text within it does.
            #expect(try embedder.embed(text: long) == embedder.embed(text: long + "and two dogs"))
            #expect(try embedder.embed(text: long) != embedder.embed(text: "two dogs " + long))
            #expect(try embedder.embed(text: "a red car") == embedder.embed(text: "A  red CAR"))
            #expect(try embedder.embed(text: "<|endoftext|> a red car") != embedder.embed(text: "a red car"))
            #expect(code { _ = try embedder.embed(text: " \n") } == "bad_request")
        }

        /// A model with its tower elsewhere: the tower's embeddings, the model's layout.
        @Test func theTowerOfAModel() throws {
            let folder = try Folder()
            let model = folder.path + "/model"
            try FileManager.default.copyItem(atPath: "\(golden)/case13_truncation", toPath: model)
            let file = URL(filePath: model + "/config.json")
            var config = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
            config["mm_vision_tower"] = "\(Self.folder)/\(Self.pairs[1])"
            config["image_aspect_ratio"] = "pad"
            try JSONSerialization.data(withJSONObject: config).write(to: file)
            let (whole, tower) = (try embedder(model), try embedder("\(Self.folder)/\(Self.pairs[1])"))
            #expect(try whole.embed(text: "a cat") == tower.embed(text: "a cat"))
            let square = try #require(try pictures(Self.pairs[1]).first)
            #expect(try whole.embed(image: square) == tower.embed(image: square))
            let wide = RGBImage(width: Self.side, height: Self.side / 2, pixels: Array(square.pixels.prefix(4704)))
            #expect(try whole.embed(image: wide) != tower.embed(image: wide))
        }

        @Test func framesOfARecording() throws {
            let embedder = try embedder("\(Self.folder)/\(Self.pairs[1])")
            var options = IndexOptions()
            options.framesPerSecond = 0.5
            let stream = try FrameStream(
                RecordingFile(path: Shared.video), request: request(.model(embedder.preprocessing, resolutionRatio: 1)))
            var (frame, frames) = (Frame(), [Frame]())
            while try stream.next(into: &frame) { frames.append(frame) }
            var found: [Embedder.FrameEmbedding] = []
            let summary = try embedder.embed(recording: InputPath(Shared.video), options: options) { found.append($0) }
            #expect(summary.frames == 6 && !summary.isPartial)
            #expect(found.map(\.time) == [0, 2, 4, 6, 8, 10] && found.map(\.index) == Array(0..<6))
            #expect(found.map(\.embedding) == (try embedder.embed(frames: frames)))
            #expect(Set(found.map(\.embedding)).count == 6)
        }

        private func request(_ output: FrameRequest.Output) -> FrameRequest {
            var request = FrameRequest(output: output)
            request.framesPerSecond = 0.5
            return request
        }

        @Test func whatCannotBeEmbedded() throws {
            let embedder = try embedder("\(Self.folder)/\(Self.pairs[1])")
            var frame = Frame()
            #expect(code { _ = try embedder.embed(frames: [frame]) } == "bad_request")
            frame.rgb = [1, 2, 3]
            #expect(code { _ = try embedder.embed(frames: [frame]) } == "bad_request")
            #expect(try embedder.embed(frames: []).isEmpty)
            #expect(code { _ = try embedder.embed(imageFile: InputPath("none.png")) } == "cannot_read")
            #expect(code { _ = try self.embedder("\(golden)/towers/clip64_28") } == "unsupported_model")
            #expect(code { _ = try self.embedder("\(golden)/case13_truncation") } == "unsupported_model")
            #expect(code { _ = try self.embedder("\(golden)/none") } == "folder_missing")
            var settings = ModelSettings()
            settings.threads = 0
            #expect(code { _ = try Embedder(path: golden, settings: settings) } == "bad_request")
            let cancellation = Cancellation()
            cancellation.cancel()
            let interrupted = code {
                _ = try embedder.embed(recording: InputPath(Shared.video), cancellation: cancellation) { _ in }
            }
            #expect(interrupted == "interrupted")
        }

        /// A tokenizer of another model would pool the wrong row without a word.
        @Test func aTokenizerOfAnotherModel() throws {
            let folder = try Folder()
            let pair = folder.path + "/pair"
            try FileManager.default.copyItem(atPath: "\(Self.folder)/\(Self.pairs[1])", toPath: pair)
            let file = URL(filePath: pair + "/config.json")
            let text = try String(contentsOf: file, encoding: .utf8)
            try text.replacing("\"eos_token_id\": 813", with: "\"eos_token_id\": 800").write(
                to: file, atomically: true, encoding: .utf8)
            #expect(code { _ = try embedder(pair) } == "unsupported_model")
        }
    }
}
