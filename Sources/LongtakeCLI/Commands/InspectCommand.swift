import ArgumentParser

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a model looks at.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake inspect attention day.mp4 "Who comes in?"
              longtake inspect compression day.mp4 --out maps
            """),
        subcommands: [InspectAttentionCommand.self, InspectCompressionCommand.self])
}
