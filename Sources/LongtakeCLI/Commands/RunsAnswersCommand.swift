import ArgumentParser
import Longtake

struct RunsAnswersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "answers", abstract: "Print the answers of a run as JSON lines, as its outputs got them.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs answers last | jq -r '.question_id + ": " + .answer'
            """))

    @Argument(help: ArgumentHelp("ID of the run, the beginning of it, or last.", valueName: "run"))
    var id: String = "last"

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let library = try library.open(telling: output)
        let lines = try library.answerLines(of: library.run(matching: id))
        for line in lines { Console.result(line + "\n") }
        if lines.isEmpty { output.note("the run gave no answers") }
    }
}
