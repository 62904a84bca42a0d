import ArgumentParser
import Longtake

struct RunsDigestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest", abstract: "Print a summary of a run for mail: what is new, alerts, failures, cost.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs digest last --style text | mail -s "cameras" admin
            """))

    @Argument(help: ArgumentHelp("ID of the run, the beginning of it, or last.", valueName: "run"))
    var id: String = "last"

    @Option(help: "markdown (the default) or text.", completion: .list(RunDigest.Style.allCases.map(\.rawValue)))
    var style = "markdown"

    @OptionGroup var library: LibraryOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let name = try Choice.check(style, "--style", of: RunDigest.Style.allCases.map(\.rawValue))
        let library = try library.open(forQuestions: true)
        let digest = try library.digest(
            of: library.run(matching: id), style: RunDigest.Style(rawValue: name) ?? .markdown)
        Console.result(digest.document)
    }
}
