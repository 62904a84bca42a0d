import ArgumentParser
import Longtake

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show an indexed recording: length, frames, size, state.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake show vid_0f3a9c2e
              longtake show day.mp4 --contact-sheet day.png
            """))

    @Argument(
        help: "ID, the start of one (8 characters or more), the path it was indexed from, or the end of that path.",
        completion: RecordingCompletion.indexed)
    var recording: String

    @Option(
        help: ArgumentHelp(
            "Write frames from the whole recording as one PNG; the recording's file must still exist.",
            valueName: "file"), completion: .file(extensions: ["png"]))
    var contactSheet: String?

    @Option(help: "Number of images in the contact sheet; 24 by default.")
    var images: Int?

    /// The earlier name of --images.
    @Option(help: .hidden)
    var pictures: Int?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        if contactSheet == nil { Interruption.endAtOnce() }
        let library = try library.open(telling: output)
        let found = try library.recordings(matching: recording)
        if let contactSheet, let first = found.first {
            let count = images ?? pictures ?? RecordingImages.defaultCount
            guard (1...1000).contains(count) else { throw UsageError("--images must be 1 to 1000, not \(count)") }
            let source = try RecordingImages(
                library: library, index: first.index, cancellation: Interruption.cancellation)
            let written = try source.contactSheet(to: contactSheet, count: count)
            for note in written.notes {
                let text = "\(first.path): \(note)"
                if output.json { output.warn(text) } else { Console.note("note: " + Console.name(text)) }
            }
            for file in written.files { output.note("wrote \(Console.name(file))") }
        }
        if output.json { return Console.json(found) }
        if output.isQuiet { return found.forEach { Console.line($0.id) } }
        for (number, item) in found.enumerated() {
            if number > 0 { Console.line() }
            var rows = [
                ["id", item.id], ["index", item.index], ["name", Console.name(item.name)],
                ["path", Console.name(item.path)], ["file", item.file.rawValue],
                [
                    "length",
                    item.duration.map { "\(TimeText.clock($0)) (\(Format.number($0, digits: 3)) s)" } ?? "unknown",
                ],
                ["first frame", Self.firstFrame(item)], ["started", Self.started(item)],
                [
                    "frames",
                    "\(item.frames) in \(counted(item.segments, "segment")), \(Format.bytes(item.bytes))"
                        + (item.framesReused.map { "; \($0) reused" } ?? ""),
                ],
                ["prefix cache", Format.bytes(item.prefixCacheBytes)],
                ["state", item.state.rawValue],
                ["sampling", item.sampling], ["record", item.record], ["model", Console.name(item.model)],
                ["indexed", item.created],
            ]
            if let camera = item.camera {
                rows.insert(["camera", Console.name(camera)], at: 8)
            }
            rows += ((item.recorded?.notes ?? []) + item.warnings).map { ["note", Console.name($0)] }
            rows += item.counters.sorted { $0.key < $1.key }.map { ["", "\($0.key): \($0.value)"] }
            Console.line(Format.table(rows))
        }
    }

    /// When the recording started and how that is known, as text.
    private static func started(_ item: RecordingSummary) -> String {
        guard let recorded = item.recorded else { return "unknown" }
        let doubt =
            recorded.uncertainty.map { ", within \(Format.number($0, digits: $0 < 1 ? 3 : 0)) s" }
            ?? ", uncertainty unknown"
        let origin =
            switch recorded.source {
            case "container": "container's \(recorded.detail)"
            case "path": "path, by \(recorded.detail)"
            default: "stated as \(recorded.detail)"
            }
        return Console.name("\(recorded.start) (\(recorded.timezone); \(origin)\(doubt))")
    }

    /// The time of the first frame on the file's timeline, as text.
    private static func firstFrame(_ item: RecordingSummary) -> String {
        guard let start = item.start else { return "unknown" }
        return "at \(TimeText.clock(start)) (\(Format.number(start, digits: 3)) s) of the file"
    }
}
