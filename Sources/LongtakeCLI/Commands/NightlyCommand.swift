import ArgumentParser

struct NightlyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nightly", abstract: "Let systemd run a pipeline every night.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake nightly install nightly.yaml --at 02:00 --max-runtime 5h
              longtake nightly status
              longtake nightly remove nightly

            A job is a service and a timer, named after the pipeline's file. `longtake run` is what the service runs.
            """),
        subcommands: [NightlyInstallCommand.self, NightlyStatusCommand.self, NightlyRemoveCommand.self])
}
