import Foundation
import Longtake
import Media
import Models
import Store
import Testing

extension LongtakeTests {
    /// Runs that stop in the middle, and the run after.
    @Suite struct IndexerStopTests {
        /// 720 frames: one sealed segment of 600, and an open one when the run is stopped.
        private static let rate = 60.0

        private func options() -> IndexOptions {
            var options = IndexOptions()
            options.record = .f32
            options.framesPerSecond = Self.rate
            return options
        }

        @Test func sealedSegmentsAreKept() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let cancellation = Cancellation()
            let stopping = Analyzer(model: model, library: library, cancellation: cancellation)
            let stopped = code {
                _ = try stopping.index(Shared.video, options: options()) {
                    if $0.frames > 640 { cancellation.cancel() }
                }
            }
            #expect(stopped == "interrupted")
            #expect(try library.cache.indexes().isEmpty, "an index that is not whole is listed")

            var first: Int?
            let analyzer = Analyzer(model: model, library: library)
            let resumed = try analyzer.index(Shared.video, options: options()) { progress in
                if first == nil { first = progress.frames - progress.framesNow }
            }
            #expect(resumed.action == .resumed && resumed.frames == 720 && resumed.state == .complete)
            #expect((first ?? 0) > 600, "the open segment is kept too")
            let whole = try folder.library("whole")
            let made = try Analyzer(model: model, library: whole).index(Shared.video, options: options())
            #expect(made.action == .new && made.frames == 720)
            let width = model.llava.hiddenSize
            let a = try storedTokens(library, resumed.index, width: width)
            let b = try storedTokens(whole, made.index, width: width)
            #expect(deviation(a, b) < 1e-5)
            #expect(a[..<600] == b[..<600])
        }

        @Test func stoppedAtOnce() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let cancellation = Cancellation()
            cancellation.cancel()
            let stopping = Analyzer(model: model, library: library, cancellation: cancellation)
            #expect(code { _ = try stopping.index(Shared.video, options: IndexOptions()) } == "interrupted")
            let made = try Analyzer(model: model, library: library).index(Shared.video, options: IndexOptions())
            #expect(made.action == .new && made.frames == 12)
        }

        /// The process may end between the last segment and the manifest: then there is nothing left to decode.
        @Test func onlyTheManifestIsMissing() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let before = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            try FileManager.default.removeItem(atPath: library.cache.path(indexID: made.index) + "/manifest.json")
            let again = try analyzer.index(Shared.video, options: IndexOptions())
            #expect(again.action == .resumed && again.frames == 12 && again.state == .complete)
            let after = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            #expect(after.tokenIDs == before.tokenIDs)
        }

        @Test func forceIndexesAgain() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            var options = IndexOptions()
            options.force = true
            let again = try analyzer.index(Shared.video, options: options)
            #expect(again.action == .new && again.index == made.index && again.frames == 12)
        }

        @Test func damagedSegmentIsNoticed() throws {
            let folder = try Folder()
            let library = try folder.library()
            // What was kept for questions would be enough for an answer.
            let analyzer = Analyzer(model: try nano(), library: library, prefixCache: .never)
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let index = library.cache.path(indexID: made.index)
            let reader = try IndexReader(directory: index)
            let segment = index + "/" + (try #require(reader.manifest.segments.first)).file
            let handle = try #require(FileHandle(forUpdatingAtPath: segment))
            // In the sixth frame's token: the file's header has 4096 bytes, a record's 48.
            let middle = UInt64(4096 + 5 * reader.layout.frameBytes + 60)
            try handle.seek(toOffset: middle)
            let byte = try #require(try handle.read(upToCount: 1)?.first)
            try handle.seek(toOffset: middle)
            try handle.write(contentsOf: Data([byte ^ 1]))
            try handle.close()
            // An ID does not say which file to index again.
            #expect(code { _ = try analyzer.ask(question(), about: made.id, options: IndexOptions()) } == "damaged")
            // With the file at hand the records are made again, and the answer says so.
            let whole = try folder.library("whole")
            let wanted = try Analyzer(model: try nano(), library: whole).ask(
                question(), about: Shared.video, options: IndexOptions())
            let answer = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            #expect(answer.tokenIDs == wanted.tokenIDs && answer.frames == 12)
            #expect(answer.notes.contains { $0.contains("damaged") }, "\(answer.notes)")
            let again = try analyzer.ask(question(), about: Shared.video, options: IndexOptions())
            #expect(again.tokenIDs == wanted.tokenIDs && !again.notes.contains { $0.contains("damaged") })
        }
    }
}
