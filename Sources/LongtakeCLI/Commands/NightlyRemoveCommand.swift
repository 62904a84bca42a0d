import ArgumentParser
import Longtake

struct NightlyRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Stop nightly jobs and remove their units; answers and indexes stay.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake nightly remove nightly
              sudo longtake nightly remove cameras --system

            The pipeline's file stays, and so do drop-ins in longtake-NAME.service.d. A run in progress is not interrupted.
            """))

    @Argument(help: "Names of jobs, as `longtake nightly status` lists them.")
    var names: [String]

    @OptionGroup var units: NightlyOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let name: String
        let removed: [String]
    }

    mutating func run() throws {
        Interruption.endAtOnce()
        let folder = units.folder(try units.scope())
        var reports: [Report] = []
        for name in names {
            let removed = try folder.remove(name)
            reports.append(Report(name: name, removed: removed))
            guard !output.json else { continue }
            if output.isQuiet {
                Console.line(name)
            } else {
                for unit in removed { Console.line("removed \(Console.name(unit))") }
            }
        }
        if output.json { Console.json(reports) }
    }
}
