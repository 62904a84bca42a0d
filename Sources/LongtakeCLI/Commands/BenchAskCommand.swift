import ArgumentParser
import Longtake

struct BenchAskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Measure a question about frames whose shared state is computed already.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench ask --frames 3600 --fusion-frames 8

            The question's text is fused with the fusion frames, then the language model processes it after the frames and \
            generates the answer. Start of the program, tokenizing and reading the index are not included.
            """))

    @Option(help: "Frames in the range.")
    var frames = 10_800

    @Option(help: "Frames that the question is fused with.")
    var fusionFrames = 64

    @Option(help: "Tokens of the answer.")
    var tokens = 16

    @OptionGroup var model: BenchModelOptions
    @OptionGroup var bench: BenchOptions

    mutating func run() throws {
        let runs = try bench.checkedRuns()
        let benchmark = QuestionBenchmark(try model.load(.question), cancellation: Interruption.cancellation)
        bench.show(
            try benchmark.run(
                QuestionBenchmark.Size(frames: frames, fusionFrames: fusionFrames, tokens: tokens), runs: runs))
    }
}
