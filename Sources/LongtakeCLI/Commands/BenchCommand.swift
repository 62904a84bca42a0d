import ArgumentParser
import Longtake

/// Measures the cost of long recordings.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure what long recordings cost, without encoding any.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench records --frames 10000 --model ~/models/llava-mini-llama-3.1-8b
              longtake ask vid_… "What happens?" --model ~/models/llava-mini-llama-3.1-8b --json      its times and memory
            """),
        subcommands: [BenchRecordsCommand.self, BenchFusionCommand.self, SearchBenchCommand.self])
}

/// The cost of filling an index.
private struct RecordsReport: Encodable {
    let id: String
    let index: String
    let frames: Int
    let bytes: Int64
    let bytes_per_frame: Double
    let seconds: Double
}

struct BenchRecordsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "records", abstract: "Fill an index with random records, and say what it takes on disk.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench records --frames 10800 --model ~/models/llava-mini-llama-3.1-8b

            The index is that of a recording that never was, with the model's sizes. It can be asked like any other, and what is \
            answered is noise. `longtake rm` removes it.
            """))

    @Option(help: "Frames, one per second: 10800 are three hours.")
    var frames: Int

    @Option(help: "Another seed makes other records.")
    var seed: UInt64 = 1

    @Option(help: "Keep the patches of each frame (patches) or of a sample (tokens).")
    var keep: String?

    @Option(help: "What a record holds: default or f32.")
    var record: String?

    @OptionGroup var model: ModelOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        var options = IndexOptions()
        try options.set(sampling: "grid", record: record ?? IndexOptions.records[0], keep: keep)
        let loaded = try model.load()
        let library = try library.open()
        let start = ContinuousClock.now
        let progress = output.progress
        let filled: RandomRecords.Filled
        do {
            defer { progress.clear() }
            filled = try RandomRecords.fill(
                loaded, library, frames: frames, seed: seed, options: options, cancellation: Interruption.cancellation
            ) { progress.show("\($0) of \(counted(frames, "record"))") }
        } catch {
            throw Failure(error)
        }
        let took = ContinuousClock.now - start
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) * 1e-18
        let report = RecordsReport(
            id: filled.id, index: filled.index, frames: filled.frames, bytes: filled.bytes,
            bytes_per_frame: Double(filled.bytes) / Double(filled.frames), seconds: seconds)
        if output.json { return Console.json(report) }
        Console.line(
            "\(report.id)  \(counted(report.frames, "random record")), \(Format.bytes(report.bytes)), "
                + "\(Format.bytes(Int64(saturating: report.bytes_per_frame))) per frame, in \(Format.number(seconds, digits: 1)) s"
        )
    }
}

struct BenchFusionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fusion",
        abstract: "Compare a sample's mean with that of all frames, and with the error it reports.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench fusion day.mp4 "What happens?" --fusion-frames 8
            """))

    @Argument(help: "A recording of more than 64 s, or the id of an indexed one.")
    var recording: PathArgument

    @Argument(help: "Questions.")
    var questions: [String]

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let questions: [FusionDeviation]
    }

    func run() throws {
        let wanted = try questions.map(answering.question)
        let analyzer = Analyzer(
            model: try model.load(), library: try library.open(), derive: .never,
            cancellation: Interruption.cancellation)
        let found = try analyzer.fusionDeviations(of: wanted, about: recording.path, options: sampling.options())
        if output.json { return Console.json(Report(questions: found)) }
        let rows = found.map {
            [
                Format.number($0.deviation, digits: 5),
                $0.relativeStandardError.map { Format.number($0, digits: 5) } ?? "unknown",
                "\($0.frames) of \($0.of)", $0.question,
            ]
        }
        Console.line(Format.table([["deviation", "standard error", "frames", "question"]] + rows))
    }
}
