import ArgumentParser

struct RunsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "What pipelines did: their runs, answers and failed files.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake runs                    the latest runs
              longtake runs show last          what the last one did with each file
              longtake runs answers last       its answers as JSON lines
              longtake runs digest last        a summary of it for mail
              longtake runs failed             files that could not be indexed
              longtake runs alerts             findings that alerts were sent about
            """),
        subcommands: [
            RunsListCommand.self, RunsShowCommand.self, RunsAnswersCommand.self, RunsFailedCommand.self,
            RunsAlertsCommand.self, RunsDigestCommand.self,
        ],
        defaultSubcommand: RunsListCommand.self)
}
