import ArgumentParser
import Longtake

/// Measures what a declared form costs for each token, for docs/answers.md.
struct BenchFormsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forms", abstract: "Measure the search for the tokens that an answer's form allows.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench forms ~/models/llava-mini-llama-3.1-8b

            Always prints JSON. Only the tokenizer is read.
            """))

    @Argument(help: "A model's folder, or one with a tokenizer alone.", completion: .directory)
    var folder: String

    @Option(help: "Number of runs of each state.")
    var runs = 20

    @OptionGroup var output: OutputOptions

    mutating func run() throws { Console.json(try FormBenchmark(folder: folder, runs: runs)) }
}
