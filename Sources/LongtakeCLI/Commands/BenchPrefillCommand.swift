import ArgumentParser
import Longtake

struct BenchPrefillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefill", abstract: "Measure the language model's prefill of a prompt.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench prefill --tokens 512 --precision bf16
            """))

    @Option(help: "Tokens of the prompt.")
    var tokens = 512

    @OptionGroup var model: BenchModelOptions
    @OptionGroup var bench: BenchOptions

    mutating func run() throws {
        let runs = try bench.checkedRuns()
        let benchmark = LanguageBenchmark(try model.load(.language), cancellation: Interruption.cancellation)
        bench.show(try benchmark.prefill(tokens: tokens, runs: runs))
    }
}
