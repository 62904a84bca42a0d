import ArgumentParser
import Longtake

struct BenchDecodeTokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode-token", abstract: "Measure the language model's generation, token by token.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench decode-token --precision bf16 --layers 16
              longtake bench decode-token --precision int4 --questions 8

            Prints the bytes of weights, keys and values read per second, and their share of the read bandwidth measured \
            in the same run.
            """))

    @Option(help: "Tokens per run.")
    var tokens = 8

    @Option(help: "Positions before the first token.")
    var context = 512

    @Option(help: "Answers generated together, 1 to 8; they share the positions before the first token.")
    var questions = 1

    @OptionGroup var model: BenchModelOptions
    @OptionGroup var bench: BenchOptions

    mutating func run() throws {
        let runs = try bench.checkedRuns()
        let benchmark = LanguageBenchmark(try model.load(.language), cancellation: Interruption.cancellation)
        bench.show(try benchmark.decode(tokens: tokens, context: context, questions: questions, runs: runs))
    }
}
