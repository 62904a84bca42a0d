import ArgumentParser
import Longtake

struct RunsAlertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "List the findings that alerts were sent about.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs alerts --json | jq '.[] | select(.state != "sent")'

            STATE: pending (sent by the next run after the time shown), sent, failed (given up, or the run was killed while it \
            was sent), sending.
            """))

    @Option(help: ArgumentHelp("Only this pipeline's, by its name or file.", valueName: "name"))
    var pipeline: String?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let alerts = try library.open(telling: output).alerts(pipeline: pipeline)
        if output.json { return Console.json(alerts) }
        guard !alerts.isEmpty else { return output.note("no alert was set off yet") }
        let rows = alerts.map {
            [
                Console.name($0.alert), $0.state, $0.next ?? "", counted($0.tries, "failed try", "failed tries"),
                Console.name($0.error ?? ""),
            ]
        }
        Console.line(Format.table([["ALERT", "STATE", "NEXT", "TRIED", "ERROR"]] + rows))
    }
}
