import ArgumentParser
import Glibc
import Longtake

struct ModelRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove downloaded models from the cache.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model rm ICTNLP/llava-mini-llama-3.1-8b --yes
              longtake model rm ICTNLP/llava-mini-llama-3.1-8b --dry-run

            Removes all revisions of a model and its interrupted downloads. A vision tower is a model of its own and stays.
            """))

    @Argument(help: "ORGANIZATION/NAME of models.", completion: ModelCompletion.names)
    var names: [String]

    @Flag(name: .shortAndLong, help: "Do not ask for confirmation; required if standard input is not a terminal.")
    var yes = false

    @Flag(help: "Print what would be removed; remove nothing.")
    var dryRun = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        let models = try DownloadedModels()
        let found = try models.named(names)
        if !dryRun, !yes { try ask(found) }
        if !dryRun {
            for model in found {
                try Interruption.check()
                try models.remove(model.name)
            }
        }
        if output.json { return Console.json(found) }
        for model in found {
            let verb = dryRun ? "would remove" : "removed"
            let name = Console.name(model.name)
            Console.line(
                output.isQuiet ? name : "\(verb) \(name)  \(Format.bytes(model.bytes + model.incompleteBytes))")
        }
    }

    private func ask(_ found: [DownloadedModel]) throws {
        Interruption.endAtOnce()
        guard isatty(STDIN_FILENO) == 1 else {
            throw UsageError("standard input is not a terminal: give --yes to remove without confirmation")
        }
        for model in found {
            Console.note("\(Console.name(model.name))  \(Format.bytes(model.bytes + model.incompleteBytes))")
        }
        Console.write("remove \(counted(found.count, "model"))? [y/N] ", to: STDERR_FILENO)
        guard let line = readLine(), ["y", "yes"].contains(line.lowercased()) else { throw ExitCode(1) }
    }
}

/// Completes the names of downloaded models in the shell.
enum ModelCompletion {
    static let names = CompletionKind.custom { _, _, _ in
        ((try? DownloadedModels())?.all() ?? []).map(\.name)
    }
}
