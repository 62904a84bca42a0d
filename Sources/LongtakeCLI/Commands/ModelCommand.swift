import ArgumentParser
import Foundation
import Longtake

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Look at a model, check it, compute with its towers, make a random one.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model inspect ~/models/llava-mini-llama-3.1-8b
              longtake model make-random --shape nano --out nano
            """),
        subcommands: [
            ModelInspectCommand.self, ModelParityCommand.self, ModelTokenizeCommand.self, ModelEmbedCommand.self,
            ModelMakeRandomCommand.self,
        ])
}

struct ModelInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what a checkpoint is and what it will cost.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake model inspect ~/models/llava-mini-llama-3.1-8b
            """))

    @Argument(help: "Folder of the checkpoint.")
    var folder: String

    @Flag(help: "Read every value and report those that are no numbers.")
    var checkTensors = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let inspection: ModelInspection
        do {
            inspection = try ModelInspection(path: folder, checkTensors: checkTensors)
        } catch {
            throw Failure(error, subject: folder)
        }
        if output.json {
            Console.json(inspection)
        } else {
            let rows = inspection.rows(bytes: Format.bytes, operations: Format.operations)
            Console.line(Format.table(rows.map { $0.map(Console.name) }))
            for note in inspection.notes { output.note("note: \(Console.name(note))") }
        }
        if inspection.hasNonFinite { throw ExitCode(Exit.model) }
    }
}

struct ModelParityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity", abstract: "Compare with tensors that a reference computed.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model parity Tests/Fixtures/golden/case01_image_c1_llama31
              longtake model parity ~/export/* --precision bf16

            A case folder holds the checkpoint, inputs.safetensors and expected.safetensors (docs/parity.md). The exit \
            status is 0 only when every tensor is within its tolerance and every greedy id is equal.
            """))

    @Argument(help: "Case folders.")
    var folders: [String]

    @Flag(help: "Print only what is out of tolerance, and one line per case.")
    var brief = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        var settings = try model.settings()
        try settings.setDefault(precision: "f32")
        var failed = 0
        var broken: Failure?
        var reports: [ParityReport] = []
        for folder in folders {
            let report: ParityReport
            do {
                report = try ParityRunner.run(folder: folder, settings: settings)
            } catch {
                // Continue with the other cases.
                let failure = Failure(error, subject: folder)
                if folders.count == 1 { throw failure }
                broken = failure
                output.failed(failure, during: "compare", item: folder)
                continue
            }
            if !report.passed { failed += 1 }
            reports.append(report)
            if !output.json { show(report) }
        }
        if output.json { Console.json(reports.map { Verdict(report: $0) }) }
        if failed > 0 { throw ExitCode(1) }
        // In JSON, the last line on standard error gives the outcome; in text it has already been printed.
        if let broken { throw output.json ? broken : ExitCode(broken.exitCode) }
    }

    private struct Verdict: Encodable {
        let report: ParityReport
        private enum Keys: String, CodingKey { case passed }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(report.passed, forKey: .passed)
            try report.encode(to: encoder)
        }
    }

    private func verdict(_ tensor: TensorDeviation, _ precision: String) -> String {
        let limit = Format.short(tensor.tolerance)
        if precision == "f32" { return tensor.withinTolerance ? "ok (≤ \(limit))" : "OUT OF TOLERANCE (\(limit))" }
        // In bf16 the cosine of the vision tokens decides; the rest is only printed.
        if tensor.tolerance == 0 { return tensor.withinTolerance ? "" : "OUT OF TOLERANCE" }
        return tensor.withinTolerance ? "ok (cosine ≥ \(limit))" : "OUT OF TOLERANCE (cosine < \(limit))"
    }

    private func show(_ report: ParityReport) {
        var rows: [[String]] = []
        for tensor in report.tensors where !brief || !tensor.withinTolerance {
            rows.append([
                "  \(tensor.name)", "abs \(Format.short(tensor.absolute))", "rel \(Format.short(tensor.relative))",
                "cosine \(Format.number(tensor.cosine, digits: 6))",
                verdict(tensor, report.precision),
            ])
        }
        for ids in report.greedy where !brief || !ids.equal {
            rows.append([
                "  \(ids.name)", counted(ids.expected.count, "id"),
                ids.equal
                    ? "equal" : ids.required ? "DIFFERENT: \(ids.found)" : "differ (allowed in \(report.precision))",
            ])
        }
        let worst = report.tensors.map(\.absolute).max() ?? 0
        Console.line(
            "\(report.passed ? "pass" : "FAIL")  \(Console.name(report.name))  \(report.precision)  \(counted(report.tensors.count, "tensor")), "
                + "worst abs \(Format.short(worst)); \(report.greedy.filter(\.equal).count) of \(counted(report.greedy.count, "id list")) equal"
        )
        if !rows.isEmpty { Console.line(Format.table(rows)) }
        for note in report.notes { output.note("  note: \(Console.name(note))") }
    }
}

struct ModelTokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn text into token ids, and back.",
        discussion: Help.text(
            """
            EXAMPLES
              echo '"What is on the table?"' | longtake model tokenize DIR --bos
              echo '[128000, 3923]' | longtake model tokenize DIR --decode

            Reads one JSON string (with --decode: one JSON array of ids) per line and writes one per line. Without \
            --parse-special text is only text: no text of a user becomes a special token.
            """))

    @Argument(help: "Folder with the tokenizer's files.")
    var folder: String

    @Flag(help: "Put the begin token in front.")
    var bos = false

    @Flag(help: "Let names of special tokens become their ids.")
    var parseSpecial = false

    @Option(
        help: """
            Treat each line as a question in a conversation: \(TokenizerTool.templates.joined(separator: ", ")). The \
            picture is -200.
            """)
    var chat: String?

    @Flag(help: "With --chat: a question without a picture.")
    var noImage = false

    @Flag(help: "From ids to text.")
    var decode = false

    @Flag(help: "With --decode: leave special tokens out.")
    var skipSpecial = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let tool: TokenizerTool
        do {
            tool = try TokenizerTool(folder: folder)
        } catch {
            throw Failure(error, subject: folder)
        }
        var number = 0
        while let line = readLine() {
            number += 1
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            let data = Data(line.utf8)
            if decode {
                guard let ids = try? JSONDecoder().decode([Int32].self, from: data) else {
                    throw UsageError("line \(number) is no JSON array of ids")
                }
                Console.jsonLine(try tool.decode(ids, skipSpecial: skipSpecial))
            } else {
                guard let text = try? JSONDecoder().decode(String.self, from: data) else {
                    throw UsageError("line \(number) is no JSON string; put the text in double quotes")
                }
                if let chat {
                    Console.jsonLine(try tool.encode(text, chat: chat, withImage: !noImage))
                } else {
                    Console.jsonLine(tool.encode(text, bos: bos, parseSpecial: parseSpecial))
                }
            }
        }
    }
}

struct ModelMakeRandomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-random",
        abstract: "Write a checkpoint with random weights: real sizes and speed, words without meaning.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model make-random --shape nano --out nano
              longtake model make-random --shape llava-mini-8b --dtype bf16 --out /big/disk/8b     (about 18 GB)
            """))

    @Option(help: "nano or llava-mini-8b.")
    var shape = "nano"

    @Option(help: "bf16, f16 or f32.")
    var dtype = "bf16"

    @Option(help: "The folder to write; must not exist or be empty.")
    var out: String

    @Option(help: "The same seed gives the same weights.")
    var seed: UInt64 = 1

    @OptionGroup var output: OutputOptions

    private struct Made: Encodable {
        let path: String
        let bytes: Int64
    }

    mutating func run() throws {
        let progress = output.progress
        let planned = try RandomModel.plannedBytes(shape: shape, type: dtype)
        output.note("writing \(Format.bytes(planned)) to \(Console.name(out))")
        let start = ContinuousClock.now
        try RandomModel.make(shape: shape, type: dtype, folder: out, seed: seed) { done, total in
            try Interruption.check()
            progress.show(
                "\(Format.bytes(done)) of \(Format.bytes(total)), \(Format.time(Double((ContinuousClock.now - start).components.seconds)))"
            )
        }
        progress.clear()
        if output.json {
            Console.json(Made(path: out, bytes: planned))
        } else {
            Console.line(out)
        }
    }
}
