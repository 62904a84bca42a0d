import Foundation
import Longtake
import Store
import Testing

extension LongtakeTests {
    /// Files that move, change, grow, break off or are no recordings.
    @Suite struct IndexerFileTests {
        @Test func sameContentTwoPaths() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let paths = ["a.mp4", "b.mp4"].map { folder.path + "/" + $0 }
            for path in paths { try FileManager.default.copyItem(atPath: Shared.video, toPath: path) }
            let made = try paths.map { try analyzer.index($0, options: IndexOptions()) }
            #expect(made.map(\.action) == [.new, .unchanged])
            #expect(made[0].index == made[1].index && made[0].id == made[1].id)
            #expect(try library.cache.indexes().count == 1)
            #expect(try library.catalog.all().map(\.path).sorted() == paths)
        }

        @Test func movedFileIsKnown() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let (before, after) = (folder.path + "/before.mp4", folder.path + "/after.mp4")
            try FileManager.default.copyItem(atPath: Shared.video, toPath: before)
            let first = try analyzer.index(before, options: IndexOptions())
            try FileManager.default.moveItem(atPath: before, toPath: after)
            let second = try analyzer.index(after, options: IndexOptions())
            #expect(second.action == .unchanged && second.index == first.index)
        }

        /// Removed is what was found gone seven days ago, not what was gone for seven days when it was first found so.
        @Test func whatIsMissingWaits() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let path = folder.path + "/v.mp4"
            try makeVideo(to: path, seconds: 1)
            let made = try analyzer.index(path, options: IndexOptions())
            let maintenance = try CacheMaintenance(
                cachePath: folder.path + "/library/cache", dataPath: folder.path + "/library/data")
            let (day, week) = (86_400.0, 7 * 86_400.0)
            func pruned() throws -> [String?] { try maintenance.prune(missingFor: week).removed.map(\.index) }
            #expect(try pruned().isEmpty)
            try FileManager.default.removeItem(atPath: path)
            #expect(try pruned().isEmpty)
            let now = Int64(Date().timeIntervalSince1970)
            for (ago, isRemoved) in [(6 * day, false), (8 * day, true)] {
                let rows = try library.catalog.rows(indexID: made.index)
                #expect(rows.count == 1 && rows.allSatisfy { $0.missing != nil })
                try library.catalog.set(missing: rows.map { ($0, now - Int64(ago)) })
                #expect(try pruned() == (isRemoved ? [made.index] : []))
            }
            #expect(try library.cache.indexes().isEmpty)
        }

        @Test func replacedInPlace() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let path = folder.path + "/v.mp4"
            try makeVideo(to: path, seconds: 3)
            let first = try analyzer.index(path, options: IndexOptions())
            try makeVideo(to: path, source: "testsrc", seconds: 4)
            let second = try analyzer.index(path, options: IndexOptions())
            #expect(second.action == .new && second.index != first.index && second.id != first.id)
            #expect((first.frames, second.frames) == (3, 4))
            let answer = try analyzer.ask(question(), about: path, options: IndexOptions())
            #expect(answer.recording.id == second.id && answer.frames == 4)
        }

        @Test func replacedWhileItIsRead() throws {
            let folder = try Folder()
            let library = try folder.library()
            let path = folder.path + "/v.mp4"
            try makeVideo(to: path, seconds: 4)
            try makeVideo(to: path + ".other.mp4", source: "testsrc", seconds: 6)
            let indexer = try Indexer(try nano(), library: library, options: IndexOptions())
            var replaced = false
            let made = try indexer.index(Recording(InputPath(path))) { _ in
                guard !replaced else { return }
                replaced = true
                // Written over in place: the descriptor that is being read sees it.
                guard let new = FileManager.default.contents(atPath: path + ".other.mp4"),
                    let handle = FileHandle(forWritingAtPath: path)
                else {
                    Issue.record("no second video")
                    return
                }
                handle.write(new)
                try? handle.close()
            }
            // The second try took the file as it was by then, and nothing of the first is left.
            #expect(replaced)
            #expect(made.frames == 6)
            #expect(try library.cache.indexes().map(\.frames) == [6])
        }

        @Test func growingFileIsRefused() throws {
            let folder = try Folder()
            let library = try folder.library()
            let path = folder.path + "/v.mp4"
            try FileManager.default.copyItem(atPath: Shared.video, toPath: path)
            try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path)
            var options = IndexOptions()
            options.minimumAge = 300
            let analyzer = Analyzer(model: try nano(), library: library)
            #expect(code { _ = try analyzer.index(path, options: options) } == "still_growing")
            #expect(try library.cache.indexes().isEmpty)
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: path)
            #expect(try analyzer.index(path, options: options).frames == 12)
            // A clock that was wrong: a file of the future is no growing file.
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: 86_400)], ofItemAtPath: path)
            #expect(try analyzer.index(path, options: options).action == .unchanged)
        }

        @Test func truncatedRecording() throws {
            let folder = try Folder()
            let whole = folder.path + "/whole.mp4"
            try makeVideo(to: whole, options: ["-movflags", "+faststart", "-g", "25"])
            let bytes = try Data(contentsOf: URL(filePath: whole))
            let path = folder.path + "/cut.mp4"
            try bytes.prefix(bytes.count * 6 / 10).write(to: URL(filePath: path))
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(path, options: IndexOptions())
            #expect(made.isPartial)
            #expect(made.frames >= 4 && made.frames < 12)
            #expect(!made.notes.isEmpty)
            let answer = try analyzer.ask(question(), about: path, options: IndexOptions())
            #expect(answer.found && answer.frames == made.frames)
            #expect(answer.notes.contains { $0.contains("partial") && $0.contains("of 12.0 s") }, "\(answer.notes)")
        }

        @Test func noRecordings() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            let empty = folder.path + "/empty.mp4"
            try Data().write(to: URL(filePath: empty))
            let text = folder.path + "/text.mp4"
            try Data("not a video".utf8).write(to: URL(filePath: text))
            for path in [empty, text, folder.path, folder.path + "/missing.mp4", "/dev/zero"] {
                #expect(throws: Failure.self) { try analyzer.index(path, options: IndexOptions()) }
                do {
                    _ = try analyzer.index(path, options: IndexOptions())
                } catch {
                    let failure = Failure(error)
                    #expect(failure.exitCode == Exit.input && failure.message.contains(path), "\(failure)")
                }
            }
            #expect(try library.cache.indexes().isEmpty)
            // A bad input leaves no trace that a good one of the same library would stumble over.
            #expect(try analyzer.index(Shared.video, options: IndexOptions()).frames == 12)
        }
    }
}
