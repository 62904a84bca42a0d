import ArgumentParser
import Longtake

struct ModelListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the downloaded models.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake model ls

            Lists all models in the cache that Hugging Face's tools share, also those that other tools downloaded. STATE: \
            complete, or partial (files are missing or a download was interrupted: `longtake model pull` continues it).
            """))

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let models = try DownloadedModels()
        let all = models.all()
        if output.json { return Console.json(all) }
        if output.isQuiet { return all.forEach { Console.line(Console.name($0.name)) } }
        guard !all.isEmpty else {
            return output.note("no models in \(Console.name(models.path)): run `longtake model pull ORGANIZATION/NAME`")
        }
        let rows = all.map { model in
            let commits = model.revisions.map { revision in
                ([String(revision.commit.prefix(12))] + revision.refs.map(Console.name)).joined(separator: " ")
            }
            return [
                Console.name(model.name), Format.bytes(model.bytes + model.incompleteBytes), model.state.rawValue,
                commits.isEmpty ? "-" : commits.joined(separator: ", "),
            ]
        }
        Console.line(Format.table([["NAME", "SIZE", "STATE", "COMMIT"]] + rows))
    }
}
