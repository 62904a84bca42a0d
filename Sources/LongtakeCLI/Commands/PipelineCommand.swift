import ArgumentParser

struct PipelineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Check pipeline files, begin a new one, and describe them to editors.",
        subcommands: [PipelineCheckCommand.self, PipelineInitCommand.self, PipelineSchemaCommand.self])
}
