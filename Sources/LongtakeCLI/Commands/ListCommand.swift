import ArgumentParser
import Longtake

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the indexed recordings.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake ls
              longtake ls --json | jq -r '.[] | select(.state == "partial") | .path'

            SIZE includes prefix caches. STATE: complete, partial, indexing (a process is working on it), interrupted (the next \
            run continues). FILE: present, touched (mode, owner or name changed, or the content with the old times, and the file \
            is too large to be read here: index it again to find out), changed (different size, modification time or content: \
            index it again), gone, unreachable (the folder is missing too: a disk that is not mounted?), replaced (another \
            recording was indexed under its path), pipe.
            """))

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let recordings = try library.open(telling: output).recordings()
        if output.json { return Console.json(recordings) }
        if output.isQuiet { return recordings.forEach { Console.line($0.id) } }
        guard !recordings.isEmpty else { return output.note("nothing is indexed yet: run `longtake index FILE`") }
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
