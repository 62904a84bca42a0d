import ArgumentParser
import Glibc
import Longtake

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List what is indexed.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake ls
              longtake ls --json | jq -r '.[] | select(.state == "partial") | .path'

            SIZE counts what questions share, too. STATE: complete, partial, indexing (a process is at it), interrupted (the next \
            run goes on). FILE: present, touched (too large to be read here; its mode, owner or name changed, or its content under \
            old times: index it again to know), changed (another size, modification time or content: index it again), gone, \
            unreachable (the folder is missing too: a disk that is not \
            mounted?), replaced (another recording was indexed under its path), pipe.
            """))

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let recordings = try library.open(telling: output).recordings()
        if output.json { return Console.json(recordings) }
        if output.isQuiet { return recordings.forEach { Console.line($0.id) } }
        guard !recordings.isEmpty else { return output.note("nothing is indexed yet: longtake index FILE") }
        let labels = RecordingSummary.labels(recordings)
        let rows = recordings.map {
            [
                $0.id, $0.samplingName, $0.duration.map { TimeText.clock($0) } ?? "",
                counted($0.frames, "frame"), Format.bytes($0.allBytes), $0.state.rawValue,
                $0.file.rawValue, Console.name($0.model),
                Console.name($0.path.isEmpty ? $0.name : labels.name($0.path)),
            ]
        }
        let head = ["ID", "SAMPLING", "LENGTH", "FRAMES", "SIZE", "STATE", "FILE", "MODEL", "NAME"]
        Console.line(Format.table([head] + rows))
    }
}

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is known of an indexed recording.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake show vid_0f3a9c2e
              longtake show day.mp4 --contact-sheet day.png
            """))

    @Argument(
        help: "Id, the start of one (8 characters or more), the path it was indexed from, or the end of that path.")
    var recording: String

    @Option(
        help: ArgumentHelp(
            "Write pictures from all over the recording as one PNG; the recording's file must still be there.",
            valueName: "file"))
    var contactSheet: String?

    @Option(help: "How many pictures the contact sheet has, 24 by default.")
    var pictures: Int?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        if contactSheet == nil { Interruption.endAtOnce() }
        let library = try library.open(telling: output)
        let found = try library.recordings(matching: recording)
        if let contactSheet, let first = found.first {
            let count = pictures ?? RecordingImages.defaultCount
            guard (1...1000).contains(count) else { throw UsageError("--pictures must be 1 to 1000, not \(count)") }
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
                ["first picture", Self.firstImage(item)],
                ["frames", "\(item.frames) in \(counted(item.segments, "segment")), \(Format.bytes(item.bytes))"],
                ["prefix cache", Format.bytes(item.prefixCacheBytes)],
                ["state", item.state.rawValue],
                ["sampling", item.sampling], ["record", item.record], ["model", Console.name(item.model)],
                ["indexed", item.created],
            ]
            rows += item.warnings.map { ["note", Console.name($0)] }
            rows += item.counters.sorted { $0.key < $1.key }.map { ["", "\($0.key): \($0.value)"] }
            Console.line(Format.table(rows))
        }
    }

    /// The time of the first frame on the file's timeline, as text.
    private static func firstImage(_ item: RecordingSummary) -> String {
        guard let start = item.start else { return "unknown" }
        return "at \(TimeText.clock(start)) (\(Format.number(start, digits: 3)) s) of the file"
    }
}

struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove the indexes of recordings; the recordings themselves stay.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake rm vid_0f3a9c2e --yes
              longtake rm day.mp4 --dry-run
              longtake rm --missing --yes               what has no file any more
            """))

    @Argument(
        help: """
            Ids, starts of ids, paths they were indexed from, or ends of such paths: all indexes of these recordings. Or an \
            index's own id (`longtake show`): that one.
            """)
    var recordings: [String] = []

    @Flag(help: "Remove the recordings whose files are gone, or were replaced by another recording.")
    var missing = false

    @Flag(help: "With --missing: those too whose folder is missing, as that of a disk that is not mounted.")
    var unreachable = false

    @Flag(name: .shortAndLong, help: "Do not ask. Needed where standard input is no terminal.")
    var yes = false

    @Flag(help: "Only say what would be removed.")
    var dryRun = false

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func validate() throws {
        if recordings.isEmpty, !missing { throw ValidationError("remove what? Give recordings, or --missing") }
        if unreachable, !missing { throw ValidationError("--unreachable goes with --missing") }
    }

    mutating func run() throws {
        // Open as for questions, which needs no catalog: if the disk is too full to open it, removing makes room.
        let library = try library.open(telling: output)
        var found = try recordings.flatMap { try library.recordings(matching: $0, newest: true) }
        if missing { found += try lost(library) }
        var seen: Set<String> = []
        found = found.filter { seen.insert($0.index).inserted }
        let labels = library.labels()
        if !dryRun, !yes, !found.isEmpty { try ask(found, labels) }
        if !dryRun { try remove(found, from: library) }
        if output.json { return Console.json(found) }
        for item in found {
            let name = Console.name(item.path.isEmpty ? item.name : labels.name(item.path))
            let verb = dryRun ? "would remove" : "removed"
            Console.line(output.isQuiet ? item.id : "\(verb) \(item.id)  \(name)  \(Format.bytes(item.allBytes))")
        }
        if found.isEmpty { output.note("nothing to remove") }
    }

    private func remove(_ found: [RecordingSummary], from library: Library) throws {
        for item in found {
            try Interruption.check()
            try library.remove(index: item.index)
        }
    }

    private func lost(_ library: Library) throws -> [RecordingSummary] {
        let lost = try library.missingRecordings()
        guard !unreachable, let first = lost.unreachable.first else { return lost.missing + lost.unreachable }
        let count = lost.unreachable.count
        output.warn(
            "\(counted(count, "recording stays", "recordings stay")): "
                + "\(first.path) cannot be reached, its folder is missing (a disk that is not mounted?); "
                + "--unreachable removes such too")
        return lost.missing
    }

    private func ask(_ found: [RecordingSummary], _ labels: PathLabels) throws {
        Interruption.endAtOnce()
        guard isatty(STDIN_FILENO) == 1 else { throw UsageError("to remove without being asked, give --yes") }
        for item in found {
            let name = Console.name(item.path.isEmpty ? item.name : labels.name(item.path))
            Console.note("\(item.id)  \(item.samplingName)  \(name)  \(Format.bytes(item.allBytes))")
        }
        let bytes = found.reduce(0) { $0 + $1.allBytes }
        Console.write(
            "remove \(counted(found.count, "index", "indexes")), \(Format.bytes(bytes))? [y/N] ",
            to: STDERR_FILENO)
        guard let line = readLine(), ["y", "yes"].contains(line.lowercased()) else { throw ExitCode(1) }
    }
}
