import ArgumentParser

/// Measures the cost of long recordings.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the cost of long recordings, without encoding any.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench records --frames 10000 --model ~/models/llava-mini-llama-3.1-8b
              longtake ask vid_… "What happens?" --model ~/models/llava-mini-llama-3.1-8b --json
            """),
        subcommands: [BenchRecordsCommand.self, BenchFusionCommand.self, BenchSearchCommand.self])
}
