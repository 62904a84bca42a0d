import ArgumentParser
import Foundation
import Longtake

struct ModelPerplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity", abstract: "Measure how well the language model predicts a text.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model perplexity DIR --text book.txt
              longtake model perplexity DIR --text book.txt --precision bf16 --context 512

            Lower is better; compare precisions of one model on the same text. DIR is a LLaVA-Mini checkpoint or a plain \
            Llama. A text is cut into windows of --context tokens, each predicted from its own tokens alone.
            """))

    @Argument(help: "Folder of the checkpoint.", completion: .directory)
    var folder: String

    @Option(help: "A text file, or - for standard input; may be repeated.", completion: .file())
    var text: [PathArgument] = []

    @Option(
        help: """
            A file with one JSON array of token IDs per line, each one text, or - for standard input: for a tokenizer \
            that is not supported.
            """, completion: .file())
    var ids: PathArgument?

    @Option(help: "Tokens per window; 1024 by default, or the model's context if that is smaller.")
    var context: Int?

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let model: String
        let precision: String
        let context: Int
        let texts: [Perplexity]
    }

    mutating func run() throws {
        Interruption.endAtOnce()
        guard !text.isEmpty || ids != nil else { throw UsageError("no text: give --text or --ids") }
        guard (text + [ids].compactMap(\.self)).count(where: { $0.path.isStandardInput }) <= 1 else {
            throw UsageError("standard input can be read once: give - to only one of --text and --ids")
        }
        if let context, context < 2 { throw UsageError("--context must be at least 2, not \(context)") }
        let lines = try ids.map { try InputLines($0.path, cancellation: Interruption.cancellation) }
        let settings = try compute.settings()
        let meter: PerplexityMeter
        do {
            meter = try PerplexityMeter(
                path: ModelFolder.path(of: folder), settings: settings, context: context,
                cancellation: Interruption.cancellation)
        } catch {
            throw Failure(error, subject: folder)
        }
        let progress = output.progress
        var found: [Perplexity] = []
        func show(_ name: String, _ done: Int, _ total: Int) {
            progress.show("\(name): \(done) of \(counted(total, "token"))")
        }
        for file in text {
            let name = file.path.description
            found.append(try meter.measure(textFile: file.path) { show(name, $0, $1) })
        }
        var number = 0
        while let line = try lines?.nextText() {
            number += 1
            let name = "\(ids?.path.description ?? "-"), text \(number)"
            guard let text = try? JSONDecoder().decode([Int32].self, from: Data(line.utf8)) else {
                throw UsageError("\(name): not a JSON array of token IDs")
            }
            found.append(try meter.measure(ids: text, name: name) { show(name, $0, $1) })
        }
        progress.clear()
        if output.json {
            return Console.json(
                Report(model: folder, precision: meter.precision, context: meter.context, texts: found))
        }
        let rows = found.map {
            [
                Console.name($0.text), counted($0.tokens, "token"),
                "perplexity \(Format.number($0.perplexity, digits: 4))", meter.precision,
            ]
        }
        Console.line(Format.table(rows))
    }
}
