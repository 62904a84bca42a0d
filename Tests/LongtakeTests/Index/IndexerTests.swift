import Checkpoints
import Foundation
import Longtake
import Media
import Models
import Store
import Testing

extension LongtakeTests {
    /// From a video file to records and back.
    @Suite struct IndexerTests {
        @Test func oneFramePerSecond() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            var seen: [IndexProgress] = []
            let made = try analyzer.index(Shared.video, options: IndexOptions()) { seen.append($0) }
            #expect(made.action == .new)
            #expect(made.frames == 12)
            #expect(made.state == .complete)
            #expect(made.id.hasPrefix("vid_") && made.id.count == 20)
            #expect(made.counters["frames_sampled"] == 12)
            #expect(seen.last?.frames == 12 && seen.last?.framesTotal == 12)
            let reader = try IndexReader(directory: library.cache.path(indexID: made.index))
            #expect(reader.entries.map(\.gridTime) == (0..<12).map(Double.init))
            #expect(reader.entries.map { Int($0.index) } == Array(0..<12))
            let again = try analyzer.index(Shared.video, options: IndexOptions())
            #expect(again.action == .unchanged && again.index == made.index && again.frames == 12)
        }

        /// Records in f32 hold what the model made, and a batch of frames gives the tokens that one frame alone gives.
        @Test func recordsHoldTheTokens() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            var options = IndexOptions()
            options.record = .f32
            let made = try Analyzer(model: model, library: library).index(Shared.video, options: options)
            let stored = try storedTokens(library, made.index, width: model.llava.hiddenSize)
            let fresh = try freshTokens(model, Shared.video)
            print("tokens, batch against single: \(deviation(stored, fresh))")
            #expect(stored.count == 12)
            #expect(Set(stored).count == 12, "frames that differ have tokens that differ")
            #expect(deviation(stored, fresh) < 1e-5)

            var rounded = IndexOptions()
            rounded.record = .standard
            let small = try Analyzer(model: model, library: library).index(Shared.video, options: rounded)
            #expect(small.index != made.index && small.bytes * 3 < made.bytes)
            let halves = try storedTokens(library, small.index, width: model.llava.hiddenSize)
            // Rounding to 8 bits of mantissa: at most 2^-8 of each value.
            #expect(deviation(stored, halves) <= 1 / 256)
        }

        /// 33 frames are more than a batch of 32, 40 are one and a quarter; the frames they share have the same tokens.
        @Test(arguments: [1.0, 2.75, 3.5]) func batchBoundaries(rate: Double) throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            var options = IndexOptions()
            options.record = .f32
            options.framesPerSecond = rate
            let made = try Analyzer(model: model, library: library).index(Shared.video, options: options)
            #expect(made.frames == Int((12 * rate).rounded(.up)))
            let stored = try storedTokens(library, made.index, width: model.llava.hiddenSize)
            let fresh = try freshTokens(model, Shared.video, framesPerSecond: rate)
            #expect(stored.count == made.frames)
            #expect(deviation(stored, fresh) < 1e-5)
        }

        /// Four seconds that move and 40 that stand still, over the end of a batch: a frame that is not computed again has the
        /// tokens that it would have had.
        @Test func stillFrames() throws {
            let folder = try Folder()
            let path = folder.path + "/still.mp4"
            try ffmpeg([
                "-f", "lavfi", "-i", "testsrc2=s=160x120:r=5:d=4", "-vf", "tpad=stop_mode=clone:stop_duration=40",
                "-c:v", "libx264", "-qp", "0", path,
            ])
            let library = try folder.library()
            let model = try nano()
            var options = IndexOptions()
            options.record = .f32
            let made = try Analyzer(model: model, library: library).index(path, options: options)
            let stored = try storedTokens(library, made.index, width: model.llava.hiddenSize)
            let fresh = try freshTokens(model, path)
            #expect(stored.count == 44 && fresh.count == 44)
            #expect(Set(stored[..<5]).count == 5 && Set(stored[4...]).count == 1)
            #expect(deviation(stored, fresh) < 1e-5)
        }

        /// Five images per frame, crops and the whole, keep their order through worker, batch and record.
        @Test func highResolution() throws {
            let folder = try Folder()
            let path = folder.path + "/model"
            try FileManager.default.copyItem(atPath: Shared.model, toPath: path)
            let config = URL(filePath: path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            values["resolution_ratio"] = 2
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            let (model, low) = (try nano(path), try nano())
            #expect(model.hash != low.hash && model.llava.fusion.partCount == 5)
            var options = IndexOptions()
            options.record = .f32
            let library = try folder.library()
            let analyzer = Analyzer(model: model, library: library)
            // 24 frames of 5 · 36 patches: batches of 12.
            options.framesPerSecond = 2
            let made = try analyzer.index(Shared.video, options: options)
            #expect(made.frames == 24)
            let stored = try storedTokens(library, made.index, width: model.llava.hiddenSize)
            let fresh = try freshTokens(model, Shared.video, framesPerSecond: 2)
            #expect(stored.count == 24 && deviation(stored, fresh) < 1e-5)
            #expect(try analyzer.ask(question(), about: Shared.video, options: options).frames == 24)
        }

        @Test func sameInputSameBytes() throws {
            let folder = try Folder()
            let model = try nano()
            let tokens = try ["first", "second"].map { name in
                let library = try folder.library(name)
                var options = IndexOptions()
                options.record = .f32
                let made = try Analyzer(model: model, library: library).index(Shared.video, options: options)
                return try storedTokens(library, made.index, width: model.llava.hiddenSize)
            }
            #expect(tokens[0] == tokens[1])
        }

        @Test func keyFollowsModelAndSampling() throws {
            let folder = try Folder()
            let library = try folder.library()
            let (model, other) = (try nano(), try nano(Shared.otherModel))
            #expect(model.hash != other.hash)
            func key(_ model: LoadedModel, _ change: (inout IndexOptions) -> Void = { _ in }) throws -> String {
                var options = IndexOptions()
                change(&options)
                return try Indexer(model, library: library, options: options).key(content: "abc").id
            }
            let keys = try [
                key(model), key(other), key(model) { $0.framesPerSecond = 2 }, key(model) { $0.record = .f32 },
                key(model) { $0.sampling = .reference }, key(model) { $0.stream = 1 },
                key(model) { $0.keepCorrupt = true }, key(model) { $0.maxDuration = 5 },
            ]
            #expect(Set(keys).count == keys.count)
            #expect(try key(model) == keys[0])
            // What does not change the bytes does not change the key.
            #expect(
                try key(model) { ($0.force, $0.decodeThreads, $0.watchdog, $0.minimumAge) = (true, 2, 5, 9) } == keys[0]
            )

            let analyzer = Analyzer(model: model, library: library)
            let first = try analyzer.index(Shared.video, options: IndexOptions())
            let second = try Analyzer(model: other, library: library).index(Shared.video, options: IndexOptions())
            #expect(second.action == .new && second.index != first.index && second.id == first.id)
            #expect(try library.recordings().count == 2)
        }

        @Test func limitsEndEarly() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var options = IndexOptions()
            options.maxFrames = 5
            let made = try analyzer.index(Shared.video, options: options)
            #expect(made.frames == 5)
            #expect(made.state == .partial || !made.notes.isEmpty, "nobody is told that frames are missing")
        }

        @Test func planSaysWhatItTakes() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let plan = try analyzer.plan(Shared.video, options: IndexOptions())
            #expect(plan.frames == 12 && plan.bytes == Int64(12 * plan.bytesPerFrame) && plan.freeBytes > 0)
            #expect(try library.recordings().isEmpty)
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            #expect(made.bytes >= plan.bytes ?? .max)
        }
    }
}
