import Foundation
import Longtake
import Media
import Models
import Store
import Tensors
import Testing

extension LongtakeTests {
    /// From a question to an answer.
    @Suite struct AskerTests {
        @Test func askTwice() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            var indexed = 0
            let first = try analyzer.ask(
                question(), about: Shared.video, options: IndexOptions(), indexing: { _ in indexed += 1 })
            #expect(indexed > 0)
            #expect(first.found && first.frames == 12 && first.range == [0, 11])
            #expect(first.tokenIDs.count <= 8 && !first.tokenIDs.isEmpty)
            #expect(first.fusion == FusionSummary.exact(12))
            #expect(first.recording.path == Shared.video && first.recording.id.hasPrefix("vid_"))
            #expect(first.timings.secondsPerFrame != nil && first.timings.peakMemoryBytes > 0)

            indexed = 0
            let again = try analyzer.ask(
                question(), about: Shared.video, options: IndexOptions(), indexing: { _ in indexed += 1 })
            #expect(indexed == 0)
            #expect(again.tokenIDs == first.tokenIDs && again.answer == first.answer)
            #expect(again.timings.secondsPerFrame == nil)
            #expect(try library.recordings().count == 1)
        }

        /// Loading the model and indexing again give the same answer; another question gives another.
        @Test func answerIsAFunctionOfItsInputs() throws {
            let folder = try Folder()
            var options = IndexOptions()
            options.record = .f32
            let answers = try ["a", "b"].map { name in
                try Analyzer(model: try nano(), library: try folder.library(name)).ask(
                    question(maxTokens: 16), about: Shared.video, options: options)
            }
            #expect(answers[0].tokenIDs == answers[1].tokenIDs)
            let other = try Analyzer(model: try nano(), library: try folder.library("a")).ask(
                question("How many people are there?", maxTokens: 16), about: Shared.video, options: options)
            #expect(other.tokenIDs != answers[0].tokenIDs)
        }

        @Test func byIdentifier() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let byPath = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            for name in [made.id, String(made.id.prefix(12)), made.index, String(made.index.prefix(10))] {
                let answer = try analyzer.ask(question(), about: name, options: IndexOptions())
                #expect(answer.tokenIDs == byPath.tokenIDs, "\(name)")
                #expect(answer.recording.id == made.id && answer.recording.path == Shared.video)
            }
            for name in ["vid_0000000000000000", "vid_", String(made.id.prefix(6))] {
                #expect(
                    code { _ = try analyzer.ask(question(), about: name, options: IndexOptions()) }
                        == "unknown_recording",
                    "\(name)")
            }
            // Another model cannot read these records; the error names the one that can.
            let other = Analyzer(model: try nano(Shared.otherModel), library: analyzer.library)
            #expect(
                code { _ = try other.ask(question(), about: made.id, options: IndexOptions()) } == "unknown_recording")
        }

        /// Of several indexes of one recording, the options choose.
        @Test func byIdentifierAndOptions() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var id = ""
            for rate in [0.5, 1, 2, 3] {
                var options = IndexOptions()
                options.framesPerSecond = rate
                id = try analyzer.index(Shared.video, options: options).id
            }
            for rate in [0.5, 1, 2, 3] {
                var options = IndexOptions()
                options.framesPerSecond = rate
                #expect(try analyzer.ask(question(maxTokens: 1), about: id, options: options).frames == Int(12 * rate))
            }
        }

        @Test func progressGoesUp() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var seen: [Double] = []
            _ = try analyzer.ask(
                question(), about: Shared.video, options: IndexOptions(), progress: { seen.append($0) })
            #expect(seen == seen.sorted() && seen.allSatisfy { (0...1).contains($0) })
            #expect(seen.last == 1)
        }

        @Test(arguments: [
            (3.0, 7.0, [3.0, 6.0], 4), (0, 1, [0, 0], 1), (10.5, 100, [11, 11], 1), (-5, 2, [0, 1], 2),
        ])
        func range(from: Double, to: Double, range: [Double], frames: Int) throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var asked = question()
            (asked.from, asked.to) = (from, to)
            let answer = try analyzer.ask(asked, about: Shared.video, options: IndexOptions())
            #expect(answer.found && answer.frames == frames && answer.range == range)
            #expect(answer.fusion.of == frames)
        }

        /// The end is open: what lies at it belongs to the next range.
        @Test func rangesJoin() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var total = 0
            for (from, to) in [(nil, 4), (4, 8), (8, nil)] as [(Double?, Double?)] {
                var asked = question(maxTokens: 1)
                (asked.from, asked.to) = (from, to)
                total += try analyzer.ask(asked, about: Shared.video, options: IndexOptions()).frames
            }
            #expect(total == 12)
        }

        @Test(arguments: [(20.0, 30.0), (5.2, 5.8), (7, 3), (4, 4), (.nan, 3)])
        func noFramesInRange(from: Double, to: Double) throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            var asked = question()
            (asked.from, asked.to) = (from, to)
            let answer = try analyzer.ask(asked, about: Shared.video, options: IndexOptions())
            #expect(!answer.found && answer.answer == "no frames in range" && answer.tokenIDs.isEmpty)
            #expect(answer.frames == 0 && answer.range.isEmpty && answer.stop == .noFramesInRange)
            #expect(answer.notes.contains { $0.contains("0 to 11") })
            // NaN and infinity would not be JSON.
            #expect(throws: Never.self) { try JSONEncoder().encode(answer) }
        }

        @Test func stillImage() throws {
            let folder = try Folder()
            let path = folder.path + "/p.png"
            try ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=200x120:d=1", "-frames:v", "1", path])
            let model = try nano()
            let analyzer = Analyzer(model: model, library: try folder.library())
            let answer = try analyzer.ask(question(), aboutImage: path)
            #expect(answer.found && answer.frames == 1 && answer.range == [0] || answer.range == [0, 0])
            #expect(answer.recording.path == path && !answer.tokenIDs.isEmpty)
            #expect(try analyzer.ask(question(), aboutImage: path).tokenIDs == answer.tokenIDs)
            let link = folder.path + "/link.png"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            #expect(try analyzer.ask(question(), aboutImage: link).tokenIDs == answer.tokenIDs)
            #expect(throws: Failure.self) { try analyzer.ask(question(), aboutImage: folder.path) }
            try ffmpeg(["-f", "lavfi", "-i", "color=c=red:s=200x120:d=1", "-frames:v", "1", folder.path + "/red.png"])
            let red = try analyzer.ask(question(maxTokens: 24), aboutImage: folder.path + "/red.png")
            let other = try analyzer.ask(question(maxTokens: 24), aboutImage: path)
            #expect(red.tokenIDs != other.tokenIDs)
            #expect(throws: Failure.self) { try analyzer.ask(question(), aboutImage: Shared.video) }
            #expect(throws: Failure.self) { try analyzer.ask(question(), aboutImage: folder.path + "/none.png") }
        }

        /// Weights stored in 16 bits and products in bf16: another path through every layer.
        @Test(.enabled(if: Backend.hasOneDNN)) func halves() throws {
            let folder = try Folder()
            try RandomModel.make(shape: "nano", type: "bf16", folder: folder.path + "/model", seed: 3) { _, _ in }
            let model = try nano(folder.path + "/model", precision: .bf16)
            let analyzer = Analyzer(model: model, library: try folder.library())
            let first = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            #expect(first.found && first.frames == 12)
            #expect(
                try analyzer.ask(question(), about: Shared.video, options: IndexOptions()).tokenIDs == first.tokenIDs)
            let full = Analyzer(model: try nano(folder.path + "/model"), library: analyzer.library)
            var options = IndexOptions()
            options.record = .f32
            let exact = try full.index(Shared.video, options: options)
            let rounded = try analyzer.index(Shared.video, options: options)
            let width = model.llava.hiddenSize
            let a = try storedTokens(analyzer.library, exact.index, width: width)
            let b = try storedTokens(analyzer.library, rounded.index, width: width)
            #expect(exact.index != rounded.index)
            #expect(a != b && deviation(a, b) < 0.05)
        }
    }
}

extension FusionSummary {
    /// All of `count` frames.
    static func exact(_ count: Int) -> FusionSummary {
        FusionSummary(frames: count, of: count, relativeStandardError: 0)
    }
}
