import ArgumentParser
import Longtake

struct RunsFailedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failed", abstract: "List the files that pipelines could not index.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs failed --json | jq -r '.[] | select(.next == null) | .path'

            A file is tried again after 20 hours, then after pauses that double; after 5 tries it is set aside until it \
            changes. `longtake run --retry-failed` tries all of them at once.
            """))

    @Option(help: ArgumentHelp("Only this pipeline's files, by its name or file.", valueName: "name"))
    var pipeline: String?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let files = try library.open(telling: output).failedFiles(pipeline: pipeline)
        if output.json { return Console.json(files) }
        if output.isQuiet { return files.forEach { Console.line(Console.name($0.path)) } }
        guard !files.isEmpty else { return output.note("no file has failed") }
        let rows = files.map {
            [
                counted($0.tries, "try", "tries"), $0.next.map { "again after \($0)" } ?? "set aside",
                Console.name($0.message),
            ]
        }
        Console.line(Format.table([["TRIED", "NEXT", "ERROR"]] + rows))
    }
}
