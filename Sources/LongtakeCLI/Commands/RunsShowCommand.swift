import ArgumentParser
import Longtake

struct RunsShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what a run did with each file.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs show last

            Files that were unchanged and had all their answers are not listed.
            """))

    @Argument(help: ArgumentHelp("ID of the run, the beginning of it, or last.", valueName: "run"))
    var id: String

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let found = try library.open(telling: output).run(matching: id)
        if output.json { return Console.json(found) }
        if output.isQuiet { return (found.files ?? []).forEach { Console.line(Console.name($0.path)) } }
        var rows = [
            ["run", found.id], ["pipeline", Console.name(found.pipeline)], ["state", found.state],
            ["started", found.started],
        ]
        if let ended = found.ended { rows.append(["ended", ended]) }
        if let summary = found.summary { rows.append(["did", IndexReport.text(summary)]) }
        if let error = found.error { rows.append(["error", Console.name(error)]) }
        Console.line(Format.table(rows))
        let files = (found.files ?? []).map { file in
            [
                file.action, file.frames > 0 ? counted(file.frames, "frame") : "",
                file.answers > 0 ? counted(file.answers, "answer") : "", Format.time(file.seconds),
                Console.name(file.path), file.error.map { Console.name($0) } ?? "",
            ]
        }
        if !files.isEmpty { Console.line("\n" + Format.table(files)) }
    }
}
