import Foundation
import Longtake
import Media
import Models
import Store
import Tensors
import Testing

/// The model that comes with the repository; its vision tower has its text half.
let bundledModel = fixtures.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Models/nano").path
/// A recording of its world, by the name of its file.
func desk(_ name: String) -> String { fixtures.appending(path: "desk/\(name)").path }

extension LongtakeTests {
    /// What indexing keeps of a frame for searching, against what `model embed` makes of the same frame.
    @Suite struct EmbeddingTests {
        /// The embeddings in an index, frame by frame, as f32.
        private func stored(_ library: Library, _ index: String) throws -> [[Float]] {
            let reader = try IndexReader(directory: library.cache.path(indexID: index))
            let parts = reader.layout.parts
            let place = try #require(parts.firstIndex { $0.name == "embedding" })
            #expect(parts[place].stream == .frame)
            func read(_ part: Int, _ frame: Int) throws -> [UInt8] {
                var bytes = [UInt8](repeating: 0, count: parts[part].bytes)
                try bytes.withUnsafeMutableBytes { try reader.read(part: part, frame: frame, into: $0) }
                return bytes
            }
            func floats(_ bytes: [UInt8]) -> [Float] {
                bytes.withUnsafeBytes { raw in
                    (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
                }
            }
            return try reader.entries.indices.map { frame in
                let bytes = try read(place, frame)
                if parts[place].format.hasPrefix("f32") { return floats(bytes) }
                #expect(parts[place + 1].name == "embedding_scale")
                let scale = floats(try read(place + 1, frame))[0]
                return bytes.map { Float(Int8(bitPattern: $0)) * scale }
            }
        }

        private func cosine(_ a: [Float], _ b: [Float]) -> Float {
            func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
            return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
        }

        private func fresh(_ model: String, _ path: String, rate: Double = 1) throws -> [[Float]] {
            let embedder = try Embedder(path: model, settings: ModelSettings(precision: .f32, threads: 2))
            var options = IndexOptions()
            options.framesPerSecond = rate
            var found: [[Float]] = []
            _ = try embedder.embed(recording: InputPath(path), options: options) { found.append($0.embedding) }
            return found
        }

        @Test(arguments: ["test-1001730.mkv", "test-1003600.mp4"])
        func recordsHoldTheEmbeddings(name: String) throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(bundledModel), library: library)
            let wanted = try fresh(bundledModel, desk(name))
            var options = IndexOptions()
            options.record = .f32
            let exact = try stored(library, analyzer.index(desk(name), options: options).index)
            #expect(exact.count == wanted.count && exact.count >= 30 && exact[0].count == 128)
            #expect(deviation(exact, wanted) < 1e-4)
            for row in exact { #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
            let rounded = try stored(library, analyzer.index(desk(name), options: IndexOptions()).index)
            #expect(rounded.count == wanted.count)
            for (row, other) in zip(rounded, wanted) { #expect(cosine(row, other) > 0.999) }
            // The check itself: another frame is another direction.
            #expect(cosine(rounded[0], try #require(wanted.last)) < 0.999)
        }

        /// A frame like the one before it is not computed again, over the end of a batch too.
        @Test func stillFramesKeepTheirs() throws {
            let folder = try Folder()
            let path = folder.path + "/still.mkv"
            try ffmpeg([
                "-t", "4", "-i", desk("test-1003600.mp4"), "-vf", "fps=5,tpad=stop_mode=clone:stop_duration=36",
                "-c:v", "libx264", "-qp", "0", path,
            ])
            let library = try folder.library()
            var options = IndexOptions()
            options.record = .f32
            let made = try Analyzer(model: try nano(bundledModel), library: library).index(path, options: options)
            let (found, wanted) = (try stored(library, made.index), try fresh(bundledModel, path))
            try #require(found.count == made.frames && found.count >= 38)
            #expect(Set(found[5...]).count == 1 && Set(found[..<4]).count == 4)
            #expect(deviation(found, wanted) < 1e-4)
        }

        /// Of crops and the whole picture, the whole counts.
        @Test func highResolutionEmbedsTheWhole() throws {
            let folder = try Folder()
            let path = folder.path + "/model"
            try FileManager.default.copyItem(atPath: bundledModel, toPath: path)
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            values["resolution_ratio"] = 2
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            let library = try folder.library()
            var options = IndexOptions()
            options.record = .f32
            options.framesPerSecond = 0.5
            let made = try Analyzer(model: try nano(path), library: library).index(
                desk("test-1003600.mp4"), options: options)
            let (found, wanted) = (
                try stored(library, made.index), try fresh(path, desk("test-1003600.mp4"), rate: 0.5)
            )
            #expect(found.count == wanted.count && deviation(found, wanted) < 1e-4)
        }

        /// The key says it, and nothing changes for a model without a text half.
        @Test func theKeySaysWhetherThereAreAny() throws {
            let folder = try Folder()
            let library = try folder.library()
            func key(_ model: String, _ record: RecordKind) throws -> String {
                var options = IndexOptions()
                options.record = record
                return try Indexer(try nano(model), library: library, options: options).key(content: "abc").record
            }
            #expect(try key(bundledModel, .standard) == "default:f32:embedding=128")
            #expect(try key(bundledModel, .f32) == "f32:f32:embedding=128")
            #expect(try key(Shared.model, .standard) == "default:f32")
            let made = try Analyzer(model: try nano(), library: library).index(Shared.video, options: IndexOptions())
            let reader = try IndexReader(directory: library.cache.path(indexID: made.index))
            #expect(reader.layout.parts.map(\.name) == ["token", "patches", "scales"])
        }

        /// A vision tower whose text half was taken away, or that was trained on, makes none.
        @Test func halfACheckpointMakesNone() throws {
            let folder = try Folder()
            let path = folder.path + "/model"
            try FileManager.default.copyItem(atPath: bundledModel, toPath: path)
            let file = URL(filePath: path + "/vision_tower/model.safetensors")
            var bytes = try Data(contentsOf: file)
            // Another name of the same length: the tower's text half is no longer found.
            let name = try #require(bytes.range(of: Data("text_projection.weight".utf8)))
            bytes.replaceSubrange(name, with: Data("toxt_projection.weight".utf8))
            try bytes.write(to: file)
            let model = try nano(path)
            #expect(model.llava.embeddingSize == nil)
            #expect(try nano(bundledModel).llava.embeddingSize == 128)
            let library = try folder.library()
            #expect(
                code { _ = try Searcher(model: path, library: library, settings: ModelSettings(threads: 2)) }
                    == "unsupported_model")
        }
    }
}
