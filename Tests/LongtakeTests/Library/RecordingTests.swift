import Foundation
import Glibc
import Longtake
import Testing

extension LongtakeTests {
    /// A recording's file is opened once by all stages of a command.
    @Suite struct RecordingTests {
        @Test func planAndIndexOpenTheFileOnce() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let path = try folder.copyOfVideo()
            let opens = try OpenCount(path)
            let recording = Recording(InputPath(path))
            let plan = try analyzer.plan(recording, options: IndexOptions())
            _ = try analyzer.plan(recording, options: IndexOptions(), strict: true)
            let made = try analyzer.index(recording, options: IndexOptions())
            #expect(plan.frames == 12 && made.frames == 12 && made.action == .new)
            #expect(opens.count() == 1)
        }

        @Test func questionsAboutANewFileOpenItOnce() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let path = try folder.copyOfVideo()
            let opens = try OpenCount(path)
            var answers: [Answer] = []
            try analyzer.ask(
                [question("One?"), question("Two?"), question("Three?")], about: InputPath(path),
                options: IndexOptions(), onAnswer: { answers.append($1) })
            #expect(answers.count == 3)
            #expect(opens.count() == 1)
        }

        @Test func fileThatIsReplacedAfterThePlanIsOpenedAgain() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let path = try folder.copyOfVideo()
            let recording = Recording(InputPath(path))
            #expect(try analyzer.plan(recording, options: IndexOptions()).frames == 12)
            try FileManager.default.removeItem(atPath: path)
            try makeVideo(to: path, source: "testsrc", seconds: 3)
            let made = try analyzer.index(recording, options: IndexOptions())
            #expect(made.frames == 3)
            #expect(try analyzer.index(path, options: IndexOptions()).action == .unchanged)
        }

        @Test func fileThatIsOverwrittenAfterThePlanIsReadAgain() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let (path, other) = (try folder.copyOfVideo(), folder.path + "/other.mp4")
            try makeVideo(to: other, source: "testsrc", seconds: 3)
            let recording = Recording(InputPath(path))
            #expect(try analyzer.plan(recording, options: IndexOptions()).frames == 12)
            // The same inode: an open descriptor sees the new content.
            let handle = try #require(FileHandle(forWritingAtPath: path))
            try handle.truncate(atOffset: 0)
            try handle.write(contentsOf: Data(contentsOf: URL(filePath: other)))
            try handle.close()
            #expect(try analyzer.plan(recording, options: IndexOptions()).frames == 3)
            let made = try analyzer.index(recording, options: IndexOptions())
            let direct = try analyzer.index(other, options: IndexOptions())
            #expect(made.frames == 3 && direct.action == .unchanged && made.id == direct.id)
        }

        @Test func closedRecordingIsOpenedAgain() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let path = try folder.copyOfVideo()
            let opens = try OpenCount(path)
            let recording = Recording(InputPath(path))
            _ = try analyzer.plan(recording, options: IndexOptions())
            recording.close()
            #expect(try analyzer.index(recording, options: IndexOptions()).frames == 12)
            #expect(opens.count() == 2)
        }
    }
}

extension Folder {
    /// Copies the shared video, for tests that change it or count its readers.
    fileprivate func copyOfVideo() throws -> String {
        try FileManager.default.copyItem(atPath: Shared.video, toPath: path + "/video.mp4")
        return path + "/video.mp4"
    }
}

/// Counts how often a file is opened, by any process (inotify(7)).
private final class OpenCount {
    private let descriptor: Int32
    private var total = 0

    init(_ path: String) throws {
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        // The kernel merges equal events that follow each other; reads between two opens keep these apart.
        try #require(inotify_add_watch(descriptor, path, UInt32(IN_OPEN) | UInt32(IN_ACCESS)) >= 0)
    }

    deinit { close(descriptor) }

    /// Returns the number of opens since the start.
    func count() -> Int {
        // An event of a watched file has no name.
        var events = [inotify_event](repeating: inotify_event(), count: 256)
        while true {
            let size = MemoryLayout<inotify_event>.size
            let bytes = read(descriptor, &events, events.count * size)
            guard bytes > 0 else { return total }
            total += events.prefix(bytes / size).count { $0.mask & UInt32(IN_OPEN) != 0 }
        }
    }
}
