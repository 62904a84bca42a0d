import ArgumentParser
import Longtake

struct PipelineCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a pipeline file without running it.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake pipeline check pipelines/nightly.yaml

            Exit status 64 with the line and the key if it is invalid. Warns about inputs that do not exist.
            """))

    @Argument(help: "The pipeline's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var pipeline: String

    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let pipeline: String
        let inputs: [String]
        let missing: [String]
        let recordings: Int
        let questions: [String]
        let outputs: [String]
    }

    mutating func run() throws {
        Interruption.endAtOnce()
        let file = try PipelineFile(path: pipeline, cancellation: Interruption.cancellation)
        let paths = file.inputs.map(\.path)
        let missing = paths.filter { !InputPath($0).exists }
        for path in missing { output.warn("\(path): no such file or folder") }
        let found = try file.walk(cancellation: Interruption.cancellation).files.filter(\.exists).count
        let outputs = file.outputs.map { "\($0.format.rawValue) \($0.path.text)" }
        if output.json {
            return Console.json(
                Report(
                    pipeline: file.identity, inputs: paths, missing: missing, recordings: found,
                    questions: file.questions.map(\.id), outputs: outputs))
        }
        guard !output.isQuiet else { return }
        var rows = [["pipeline", Console.name(file.identity)]]
        rows += paths.map { ["input", Console.name($0)] }
        rows.append(["recordings", "\(found)"])
        rows += file.questions.map { [$0.search == nil ? "question" : "search", Console.name("\($0.id): \($0.text)")] }
        rows += outputs.map { ["output", Console.name($0)] }
        Console.line(Format.table(rows))
    }
}
