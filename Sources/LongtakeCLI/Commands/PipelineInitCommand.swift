import ArgumentParser
import Longtake

struct PipelineInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write a new pipeline file, NAME.yaml.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake pipeline init cameras --input ~/Recordings
            """))

    @Argument(help: "The pipeline's name.")
    var name: String

    @Option(help: "File or folder with recordings.", completion: .file())
    var input = "recordings"

    @OptionGroup var output: OutputOptions

    private struct Written: Encodable { let path: String }

    mutating func run() throws {
        Interruption.endAtOnce()
        guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else {
            throw UsageError("invalid name \"\(name)\"; use one without / that does not begin with a period")
        }
        let path = name + ".yaml"
        try PipelineTemplate.write(PipelineTemplate.text(name: name, input: input), to: path)
        if output.json { return Console.json(Written(path: path)) }
        Console.line(Console.name(path))
        output.note("edit it, then run `longtake pipeline check \(path)` and `longtake run \(path)`")
    }
}
