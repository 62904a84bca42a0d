import ArgumentParser

@main
struct LongtakeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "longtake", abstract: "Ask questions of recordings that last hours.", version: "0.1.0",
        subcommands: [DecodeWorkerCommand.self])
}
