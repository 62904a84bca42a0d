import ArgumentParser
import Longtake

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the indexed recordings.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake ls
              longtake ls --camera front --since 7d
              longtake ls --json | jq -r '.[] | select(.state == "partial") | .path'

            SIZE includes prefix caches. STATE: complete, partial, indexing (a process is working on it), interrupted (the next \
            run continues). FILE: present, touched (mode, owner or name changed, or the content with the old times, and the file \
            is too large to be read here: index it again to find out), changed (different size, modification time or content: \
            index it again), gone, unreachable (the folder is missing too: a disk that is not mounted?), replaced (another \
            recording was indexed under its path), pipe. STARTED and CAMERA are shown if any recording has them.
            """))

    @OptionGroup var select: SelectionOptions
    @OptionGroup var zone: ZoneOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let selection = try select.selection(zone.zone())
        let (recordings, notes) = try selection.apply(to: library.open(telling: output).recordings())
        for note in notes { output.note("note: \(Console.name(note))") }
        if output.json { return Console.json(recordings) }
        if output.isQuiet { return recordings.forEach { Console.line($0.id) } }
        guard !recordings.isEmpty else {
            return selection.isEmpty ? output.note("nothing is indexed yet: run `longtake index FILE`") : ()
        }
        let labels = RecordingSummary.labels(recordings)
        var columns: [(String, (RecordingSummary) -> String)] = [
            ("ID", { $0.id }), ("SAMPLING", { $0.samplingName }),
            ("LENGTH", { $0.duration.map { TimeText.clock($0) } ?? "" }), ("FRAMES", { counted($0.frames, "frame") }),
            ("SIZE", { Format.bytes($0.allBytes) }), ("STATE", { $0.state.rawValue }), ("FILE", { $0.file.rawValue }),
            ("MODEL", { Console.name($0.model) }),
        ]
        if recordings.contains(where: { $0.recorded != nil }) {
            columns.append(("STARTED", { $0.startText ?? "" }))
        }
        if recordings.contains(where: { $0.camera != nil }) {
            columns.append(("CAMERA", { Console.name($0.camera ?? "") }))
        }
        columns.append(("NAME", { Console.name($0.path.isEmpty ? $0.name : labels.name($0.path)) }))
        let rows = recordings.map { recording in columns.map { $0.1(recording) } }
        Console.line(Format.table([columns.map(\.0)] + rows))
    }
}
