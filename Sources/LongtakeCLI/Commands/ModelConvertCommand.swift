import ArgumentParser
import Longtake

struct ModelConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Write a copy of a model with its weights in safetensors.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model convert ~/models/llava-mini-llama-3.1-8b --out ~/models/llava-mini-safetensors

            Reads pytorch_model.bin and its shards, which every command also takes as they are, and writes the same \
            values as safetensors. The copy includes the vision tower, and has the tokenizer and every other file of the \
            folder. Nothing in a .bin file is run.

            Needs the disk space of the copy and the memory of a few megabytes. The folder gets its name when it is \
            complete.
            """))

    @Argument(help: "Folder of the model.", completion: .directory)
    var folder: String

    @Option(help: "Folder to write; must not exist or be empty.", completion: .directory)
    var out: String

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        let report = try output.showingBytes { report in
            try ModelConverter(path: ModelFolder.path(of: folder)).write(to: out, progress: report)
        }
        if output.json {
            Console.json(report)
        } else {
            output.note("\(report.tensors) tensors, \(Format.bytes(report.bytes))")
            Console.line(Console.name(report.path))
        }
    }
}
