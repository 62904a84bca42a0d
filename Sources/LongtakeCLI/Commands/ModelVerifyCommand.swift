import ArgumentParser
import Longtake

struct ModelVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare the files of downloaded models with their hashes.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model verify                                     all downloaded models
              longtake model verify ICTNLP/llava-mini-llama-3.1-8b

            Reads every byte and changes nothing. The exit status is 17 if there is damage; `longtake model pull --verify` \
            downloads damaged files again.
            """))

    @Argument(help: "ORGANIZATION/NAME of models; all by default.", completion: ModelCompletion.names)
    var names: [String] = []

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let progress = output.progress
        let found = try DownloadedModels().verify(names, check: {}) { name, bytes in
            progress.show("\(name): read \(Format.bytes(bytes))")
        }
        progress.clear()
        if output.json {
            Console.json(found)
        } else {
            for model in found {
                for file in model.damaged {
                    Console.line(output.isQuiet ? file : "damaged: \(Console.name(model.name))  \(Console.name(file))")
                }
                if model.damaged.isEmpty, !output.isQuiet {
                    Console.line(
                        "no damage: \(Console.name(model.name))  \(counted(model.files, "file")), "
                            + Format.bytes(model.bytes)
                    )
                }
            }
        }
        let damaged = found.filter { !$0.damaged.isEmpty }
        guard let first = damaged.first else { return }
        throw Failure(
            code: "damaged",
            message: "\(counted(damaged.reduce(0) { $0 + $1.damaged.count }, "damaged file")): `longtake model pull "
                + "\(first.name) --verify` downloads them again", exitCode: Exit.damaged)
    }
}
