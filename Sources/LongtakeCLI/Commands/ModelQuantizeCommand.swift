import ArgumentParser
import Longtake

struct ModelQuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize", abstract: "Write a copy of a model with 8- or 4-bit weights.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model quantize ~/models/llava-mini-llama-3.1-8b --out ~/models/llava-mini-8b-int8
              longtake model quantize ~/models/llava-mini-llama-3.1-8b --language int4 --out ~/models/llava-mini-8b-int4

            The copy is a model folder like any other: index, ask and run take it. It includes the vision tower, and has \
            the tokenizer and every other file of the folder. The table shows, for each layer, the largest error of its \
            matrices; a matrix whose error is too large stays as it is (docs/models.md has the format and the limits).

            Needs the disk space of the copy and the memory of a few megabytes. The folder gets its name when it is \
            complete.
            """))

    @Argument(help: "Folder of the model.", completion: .directory)
    var folder: String

    @Option(help: "Folder to write; must not exist or be empty.", completion: .directory)
    var out: String

    @Option(
        help: "The vision tower, projector and pre-fusion layers: int8, or keep as they are.",
        completion: .list(QuantizationChoice.vision))
    var vision = "int8"

    @Option(help: "The language model: int8, int4, or keep as it is.", completion: .list(QuantizationChoice.language))
    var language = "int8"

    @Option(.threads, "Number of threads; all cores by default.")
    var threads: Int?

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        _ = try Choice.check(vision, "--vision", of: QuantizationChoice.vision, code: "bad_request")
        _ = try Choice.check(language, "--language", of: QuantizationChoice.language, code: "bad_request")
        let choice = try QuantizationChoice(vision: vision, language: language)
        let settings = try ComputeOptions.settings(threads: threads)
        let report = try output.showingBytes { report in
            try choice.quantize(ModelFolder.path(of: folder), to: out, threads: settings.threads, progress: report)
        }
        if output.json {
            Console.json(report)
        } else {
            show(report)
        }
    }

    private func show(_ report: QuantizationReport) {
        let header = ["layer", "stored as", "relative error", "of typical", "cosine", "outlier", "largest in"]
        let rows = report.layers.compactMap { layer -> [String]? in
            guard let worst = layer.worst else { return nil }
            return [
                Console.name(layer.name), layer.formats, Format.number(worst.relative, digits: 4),
                Format.number(worst.relativeToTypical, digits: 4), Format.number(worst.cosine, digits: 6),
                Format.number(worst.outlier, digits: 1),
                Console.name(String(worst.name.dropFirst(layer.name.count).drop { $0 == "." })),
            ]
        }
        Console.line(Format.table([header] + rows))
        for name in report.kept { output.note("note: \(Console.name(name)) stays as it is: its error is too large") }
        output.note("\(Format.bytes(report.sourceBytes)) are now \(Format.bytes(report.bytes))")
        Console.line(Console.name(report.path))
    }
}
