import Foundation
import Longtake
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// The bundled model's text tower over recordings of its world, whose events are known to the second.
    @Suite struct SearcherTests {
        static let names = ["test-1001730.mkv", "test-1003600.mp4", "test-1004990.webm"]

        /// A text, the recording it describes, and when what it describes is there: from, to.
        struct Scene: Sendable, CustomTestStringConvertible {
            let text: String
            let file: String
            let from: Double
            let to: Double
            var testDescription: String { text }
        }

        static let scenes = [
            Scene(
                text: "a red star on the right, the board is empty, at night", file: "test-1003600.mp4", from: 1.7,
                to: 7.7),
            Scene(
                text: "a purple square in the middle, a blue triangle on the right, the board is empty, at night",
                file: "test-1003600.mp4", from: 12.1, to: 16.5),
            Scene(
                text: "a green cross in the middle, the board is empty, at night", file: "test-1004990.webm",
                from: 25.1,
                to: 28.6),
            Scene(
                text: "a white circle on the right, the board is empty, at night", file: "test-1004990.webm", from: 0,
                to: 4.5),
            Scene(
                text: "a green circle on the left, a purple triangle in the middle, the board is empty, at night",
                file: "test-1001730.mkv", from: 28.3, to: 40),
        ]

        /// The three recordings indexed with the bundled model, once for all tests.
        private static let indexed = Result {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(bundledModel), library: library)
            for file in names { _ = try analyzer.index(desk(file), options: IndexOptions()) }
            return folder
        }

        private func searcher(_ library: Library) throws -> Searcher {
            try Searcher(model: bundledModel, library: library, settings: ModelSettings(threads: 2))
        }

        @Test(arguments: scenes) func findsTheSecond(scene: Scene) throws {
            let library = try Self.indexed.get().library()
            let result = try searcher(library).search(scene.text)
            let first = try #require(result.moments.first)
            #expect(first.recording.name == scene.file, "\(result.moments)")
            #expect(first.best >= scene.from && first.best < scene.to, "\(first)")
            // A frame stands for a second.
            #expect(first.start > scene.from - 1 && first.end < scene.to + 2, "\(first)")
            #expect(result.frames == 107 && result.recordings == 3)
            #expect(result.moments.map(\.score) == result.moments.map(\.score).sorted(by: >))
            #expect(first.score == result.best)
        }

        /// Against the embeddings of `model embed`: the best frame and its score are the same.
        @Test func scoresAreCosines() throws {
            let library = try Self.indexed.get().library()
            let embedder = try Embedder(path: bundledModel, settings: ModelSettings(precision: .f32, threads: 2))
            let text = "a red star on the right, the board is empty, at night"
            let query = try embedder.embed(text: text)
            var scores: [Float] = []
            _ = try embedder.embed(recording: InputPath(desk("test-1003600.mp4"))) { frame in
                scores.append(zip(query, frame.embedding).reduce(0) { $0 + $1.0 * $1.1 })
            }
            let result = try searcher(library).search(text, in: [InputPath(desk("test-1003600.mp4"))])
            let top = try #require(scores.max())
            let first = try #require(result.moments.first)
            // Both vectors are rounded to 127 steps of their largest number: a few thousandths at 128 numbers.
            #expect(abs(Double(top) - first.score) < 0.01)
            #expect(abs(Double(scores[first.frame]) - first.score) < 0.01)
            let mean = scores.reduce(0) { $0 + Double($1) } / Double(scores.count)
            #expect(abs(mean - (result.mean ?? 9)) < 0.01)
            #expect(result.recordings == 1 && result.frames == scores.count)
        }

        @Test func rangesLimitsAndThresholds() throws {
            let library = try Self.indexed.get().library()
            let searcher = try searcher(library)
            let (text, path) = (Self.scenes[0].text, InputPath(desk(Self.scenes[0].file)))
            var options = SearchOptions()
            (options.from, options.to) = (10, 20)
            let ranged = try searcher.search(text, in: [path], options: options)
            #expect(ranged.frames == 10)
            #expect(ranged.moments.allSatisfy { $0.start >= 10 && $0.end <= 20 })
            (options.from, options.to) = (1000, nil)
            let none = try searcher.search(text, in: [path], options: options)
            #expect(
                none.frames == 0 && none.moments.isEmpty && none.best == nil
                    && none.notes.contains { $0.contains("range") })
            options = SearchOptions()
            options.limit = 1
            #expect(try searcher.search(text, options: options).moments.count == 1)
            options.threshold = -1
            options.limit = 5
            let all = try searcher.search(text, options: options)
            // Every frame is good enough: a moment is a whole recording.
            #expect(all.moments.count == 3 && all.threshold == -1)
            #expect(all.moments.map { $0.end - $0.start }.sorted() == [30, 37, 40])
            options.threshold = 1
            #expect(try searcher.search(text, options: options).moments.isEmpty)
            for change in [
                { $0.limit = 0 }, { $0.threshold = 2 }, { $0.threshold = .nan }, { ($0.from, $0.to) = (2, 1) },
            ]
                as [(inout SearchOptions) -> Void]
            {
                var odd = SearchOptions()
                change(&odd)
                #expect(code { _ = try searcher.search(text, options: odd) } == "bad_request")
            }
            #expect(code { _ = try searcher.search(" \n") } == "bad_request")
        }

        @Test func recordsInFullAndBySeveralThreads() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(bundledModel), library: library)
            var options = IndexOptions()
            options.record = .f32
            for file in Self.names { _ = try analyzer.index(desk(file), options: options) }
            let exact = try searcher(library).search(Self.scenes[1].text)
            let bytes = try searcher(Self.indexed.get().library()).search(Self.scenes[1].text)
            #expect(exact.moments.first?.recording.id == bytes.moments.first?.recording.id)
            #expect(exact.moments.first?.best == bytes.moments.first?.best)
            #expect(abs((exact.best ?? 9) - (bytes.best ?? 0)) < 0.01)
            let one = try Searcher(model: bundledModel, library: library, settings: ModelSettings(threads: 1))
            #expect(try one.search(Self.scenes[1].text).moments == exact.moments)
        }

        @Test func whatCannotBeSearchedIsSaid() throws {
            let folder = try Folder()
            let library = try folder.library()
            let searcher = try searcher(library)
            #expect(code { _ = try searcher.search("a red star") } == "unknown_recording")
            #expect(
                code { _ = try searcher.search("a", in: [InputPath("vid_0000000000000000")]) } == "unknown_recording")
            #expect(code { _ = try searcher.search("a", in: [InputPath(desk(Self.names[0]))]) } == "unknown_recording")
            // Indexed, but with a model that makes no embeddings.
            _ = try Analyzer(model: try nano(), library: library).index(Shared.video, options: IndexOptions())
            #expect(code { _ = try searcher.search("a red star") } == "unknown_recording")
            #expect(
                code { _ = try Searcher(model: Shared.model, library: library, settings: ModelSettings(threads: 2)) }
                    == "unsupported_model")
            let analyzer = Analyzer(model: try nano(bundledModel), library: library)
            let made = try analyzer.index(desk(Self.names[1]), options: IndexOptions())
            var faster = IndexOptions()
            faster.framesPerSecond = 2
            let twice = try analyzer.index(desk(Self.names[1]), options: faster)
            let found = try searcher.search(Self.scenes[0].text)
            // Of two indexes of a recording the finer one, once.
            #expect(found.recordings == 1 && found.frames == twice.frames)
            #expect(found.notes.contains { $0.contains("another model") })
            #expect(try searcher.search("a", in: [InputPath(made.id)]).recordings == 1)
            #expect(try searcher.search("a", in: [InputPath(String(made.id.prefix(9)))]).recordings == 1)
            #expect(try searcher.search("a", in: [InputPath(made.index)]).frames == made.frames)
        }

        @Test func aDamagedIndexDoesNotHideTheOthers() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(bundledModel), library: library)
            var made: [IndexedRecording] = []
            for file in Self.names { made.append(try analyzer.index(desk(file), options: IndexOptions())) }
            func flip(_ index: String) throws {
                let reader = try IndexReader(directory: library.cache.path(indexID: index))
                let file = URL(filePath: library.cache.path(indexID: index) + "/000000.seg")
                var bytes = try Data(contentsOf: file)
                // The last byte of record 3 that is no padding: of its scale.
                let head = 40 + 8 * reader.layout.parts.count { $0.stream == .frame }
                let own = reader.layout.parts.filter { $0.stream == .frame }.reduce(head) { $0 + $1.bytes }
                bytes[4096 + 3 * reader.layout.frameBytes + own - 1] ^= 1
                try FileManager.default.removeItem(at: file)
                try bytes.write(to: file)
            }
            try flip(made[1].index)
            let result = try searcher(library).search(Self.scenes[2].text)
            #expect(result.moments.first?.recording.name == Self.scenes[2].file)
            #expect(result.failed.map(\.recording.id) == [made[1].id])
            #expect(result.failed.first?.error.code == "damaged")
            #expect(result.failed.first?.error.message.contains("frame 3") == true)
            #expect(
                code { _ = try self.searcher(library).search("a", in: [InputPath(made[1].id)]) } == "damaged")
        }

        @Test func picturesOfTheMoments() throws {
            let library = try Self.indexed.get().library()
            let searcher = try searcher(library)
            let folder = try Folder()
            var result = try searcher.search(Self.scenes[0].text)
            try searcher.addThumbnails(to: &result, folder: folder.path + "/seen")
            #expect(files(in: folder.path + "/seen").count == result.moments.count + 1)
            #expect(
                result.moments.allSatisfy { $0.thumbnail.map { FileManager.default.fileExists(atPath: $0) } == true })
            #expect(result.contactSheet == folder.path + "/seen/contact-sheet.png")
        }

        @Test func runsOfGoodFrames() {
            typealias Run = MomentFinder.Run
            let scores: [[Float]] = [
                [0.1, 0.5, 0.6, 0.1, 0.2, 0.5, 0.1, 0.1, 0.1, 0.7], [.nan, 0.9, .nan], [0.6], [],
            ]
            #expect(
                MomentFinder.runs(scores, threshold: 0.5, limit: 9) == [
                    Run(recording: 1, first: 1, last: 1, best: 1, score: 0.9),
                    Run(recording: 0, first: 9, last: 9, best: 9, score: 0.7),
                    Run(recording: 0, first: 1, last: 5, best: 2, score: 0.6),
                    Run(recording: 2, first: 0, last: 0, best: 0, score: 0.6),
                ])
            #expect(MomentFinder.runs(scores, threshold: 0.5, limit: 1).map(\.recording) == [1])
            #expect(MomentFinder.runs(scores, threshold: 0.95, limit: 9).isEmpty)
            // Around peaks: what leads up to a higher one is no moment, a peak behind a valley is.
            let hills: [Float] = [0.5, 0.7, 0.7, 0.9, 0.92, 0.7, 0.7, 0.7, 0.7, 0.85, 0.5, 0.1, 0.1, 0.1, 0.6, 0.58]
            #expect(
                MomentFinder.runs([hills], threshold: 0.5, mean: 0.3, limit: 9) == [
                    Run(recording: 0, first: 3, last: 4, best: 4, score: 0.92),
                    Run(recording: 0, first: 9, last: 9, best: 9, score: 0.85),
                    Run(recording: 0, first: 14, last: 15, best: 14, score: 0.6),
                ])
            // Where everything is alike it is one moment, whatever the noise.
            let flat: [Float] = (0..<50).map { 0.3 + 0.01 * Float($0 * 7 % 5) / 5 }
            #expect(MomentFinder.runs([flat], threshold: 0.27, mean: 0.304, limit: 9).map(\.last) == [49])
            #expect(abs(MomentFinder.threshold(best: 0.3, mean: 0.2) - 0.25) < 1e-9)
            #expect(abs(MomentFinder.threshold(best: 0.3, mean: 0.29) - 0.27) < 1e-9)
            #expect(MomentFinder.threshold(best: -0.1, mean: -0.1) < -0.1)
        }
    }
}
