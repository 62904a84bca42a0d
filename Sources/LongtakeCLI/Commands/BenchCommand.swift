import ArgumentParser

/// Measures the speed of each stage and the cost of long recordings.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the speed of each stage, and the cost of long recordings.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench frame-path                        LLaVA-Mini-8B shape, random weights
              longtake bench video-decode day.mp4
              longtake bench records --frames 10000 --model ~/models/llava-mini-llama-3.1-8b
            """),
        subcommands: [
            BenchFramePathCommand.self, BenchPrefillCommand.self, BenchDecodeTokenCommand.self,
            BenchVideoDecodeCommand.self, BenchAskCommand.self, BenchRecordsCommand.self, BenchFusionCommand.self,
            BenchSearchCommand.self, BenchFormsCommand.self, BenchHeadlineCommand.self,
        ])
}
