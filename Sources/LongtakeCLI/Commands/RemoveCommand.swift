import ArgumentParser
import Glibc
import Longtake

struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove the indexes of recordings; the recordings themselves stay.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake rm vid_0f3a9c2e --yes
              longtake rm day.mp4 --dry-run
              longtake rm --missing --yes               all whose files are gone
            """))

    @Argument(
        help: """
            IDs, starts of IDs, paths they were indexed from, or ends of such paths: removes all indexes of these recordings. \
            Or the ID of an index (`longtake show`): removes that one.
            """, completion: RecordingCompletion.indexed)
    var recordings: [String] = []

    @Flag(help: "Remove the recordings whose files are gone, or were replaced by another recording.")
    var missing = false

    @Flag(help: "With --missing: also those whose folder is missing, for example on a disk that is not mounted.")
    var unreachable = false

    @Flag(name: .shortAndLong, help: "Do not ask for confirmation; required if standard input is not a terminal.")
    var yes = false

    @Flag(help: "Print what would be removed; remove nothing.")
    var dryRun = false

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func validate() throws {
        if recordings.isEmpty, !missing { throw ValidationError("no input: give recordings, or --missing") }
        if unreachable, !missing { throw ValidationError("--unreachable requires --missing") }
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
                + "--unreachable removes them too")
        return lost.missing
    }

    private func ask(_ found: [RecordingSummary], _ labels: PathLabels) throws {
        Interruption.endAtOnce()
        guard isatty(STDIN_FILENO) == 1 else {
            throw UsageError("standard input is not a terminal: give --yes to remove without confirmation")
        }
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
