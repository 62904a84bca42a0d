import ArgumentParser
import Longtake

struct BenchFusionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fusion",
        abstract: "Compare a sample's mean with the mean of all frames and with its reported error.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench fusion day.mp4 "What happens?" --fusion-frames 8
            """))

    @Argument(
        help: "A recording of more than 64 s, or the ID of an indexed one.", completion: RecordingCompletion.idsAndFiles
    )
    var recording: PathArgument

    @Argument(help: "Questions.")
    var questions: [String]

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let questions: [FusionDeviation]
    }

    func run() throws {
        let wanted = try questions.map(answering.question)
        let analyzer = Analyzer(
            model: try model.load(), library: try library.open(), prefixCache: .never,
            cancellation: Interruption.cancellation)
        let found = try analyzer.fusionDeviations(of: wanted, about: recording.path, options: sampling.options())
        if output.json { return Console.json(Report(questions: found)) }
        let rows = found.map {
            [
                Format.number($0.deviation, digits: 5),
                $0.relativeStandardError.map { Format.number($0, digits: 5) } ?? "unknown",
                "\($0.frames) of \($0.of)", $0.question,
            ]
        }
        Console.line(Format.table([["deviation", "standard error", "frames", "question"]] + rows))
    }
}
