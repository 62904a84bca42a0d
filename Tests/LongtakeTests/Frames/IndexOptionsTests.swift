import Foundation
import Longtake
import Models
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// Numbers that come from a command line or a request: refused with their limits, never a trap.
    @Suite struct IndexOptionsTests {
        private static func options(_ change: (inout IndexOptions) -> Void) -> IndexOptions {
            var options = IndexOptions()
            change(&options)
            return options
        }

        private static let bad: [(String, IndexOptions)] = {
            var all: [(String, IndexOptions)] = []
            for value: Double in [0, -1, .nan, .infinity, 1e300] {
                all.append(("rate \(value)", options { $0.framesPerSecond = value }))
                all.append(("duration \(value)", options { $0.maxDuration = value }))
                all.append(("watchdog \(value)", options { $0.watchdog = value }))
                if value != 0 { all.append(("age \(value)", options { $0.minimumAge = value })) }
            }
            for value: Int in [0, -1, .min, .max] {
                all.append(("frames \(value)", options { $0.maxFrames = value }))
                if value != 0 { all.append(("threads \(value)", options { $0.decodeThreads = value })) }
            }
            all.append(("rate 1001", options { $0.framesPerSecond = 1001 }))
            all.append(("stream", options { $0.stream = -1 }))
            return all
        }()

        @Test func indexOptions() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            for (name, options) in Self.bad {
                #expect(code { _ = try analyzer.index(Shared.video, options: options) } == "bad_request", "\(name)")
                #expect(code { _ = try analyzer.plan(Shared.video, options: options) } == "bad_request", "\(name)")
                var export = FrameExport()
                export.options = options
                #expect(
                    code { _ = try export.run(Shared.video, into: folder.path + "/out") } == "bad_request", "\(name)")
            }
            #expect(!FileManager.default.fileExists(atPath: folder.path + "/out"))
            let slow = Self.options { $0.framesPerSecond = 0.001 }
            #expect(try analyzer.index(Shared.video, options: slow).frames == 1)
            let missing = Self.options { $0.stream = 9 }
            #expect(throws: Failure.self) { try analyzer.index(Shared.video, options: missing) }
        }

        @Test(arguments: [0, -1, 1025, .max, .min]) func threads(count: Int) {
            let settings = ModelSettings(precision: .f32, threads: count)
            #expect(code { _ = try LoadedModel(path: Shared.model, settings: settings) } == "bad_request")
        }

        @Test func sampling() throws {
            let logits: [Float] = [0.5, 3, -2, 2.9, 1]
            for temperature in [-1, 0, .nan, 1e-300, 1, 1e308, .infinity] {
                for topP in [-1, 0, .nan, 1e-300, 0.5, 1, 7, .infinity] {
                    var sampler = Sampler(GenerationOptions(temperature: temperature, topP: topP, seed: 5))
                    for _ in 0..<20 {
                        let id = try logits.withUnsafeBufferPointer { try sampler.next($0) }
                        #expect((0..<5).contains(id), "temperature \(temperature), top_p \(topP)")
                        // So hot that all are alike, the first of them is as good as any.
                        if !(temperature > 1e-3) || (topP <= 0.3 && temperature == 1) { #expect(id == 1) }
                    }
                }
            }
            var sampler = Sampler(GenerationOptions(temperature: 1))
            #expect(throws: ModelError.self) { try [Float.nan, 1].withUnsafeBufferPointer { try sampler.next($0) } }
            #expect(throws: ModelError.self) { try [Float.infinity].withUnsafeBufferPointer { try sampler.next($0) } }
            #expect(throws: ModelError.self) { try [Float]().withUnsafeBufferPointer { try sampler.next($0) } }
        }

        @Test func sameSeedSameAnswer() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let answers = try [1, 1, 2].map { (seed: UInt64) in
                var asked = question(maxTokens: 24)
                asked.sampling = GenerationOptions(temperature: 1.5, topP: 0.95, seed: seed)
                return try analyzer.ask(asked, about: Shared.video, options: IndexOptions()).tokenIDs
            }
            #expect(answers[0] == answers[1] && answers[0] != answers[2])
        }

        /// Two runs on one recording: the second says so and leaves the first alone.
        @Test func lockedIndex() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            var second: String?
            _ = try Analyzer(model: model, library: library).index(Shared.video, options: IndexOptions()) { _ in
                let other = code {
                    _ = try Analyzer(model: try nano(), library: library).index(Shared.video, options: IndexOptions())
                }
                second = second ?? other
            }
            #expect(second == "locked")
            #expect(try library.recordings().map(\.frames) == [12])
        }
    }
}
