import ArgumentParser
import Longtake

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
        commandName: "records", abstract: "Fill an index with random records and measure its size on disk.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench records --frames 10800 --model ~/models/llava-mini-llama-3.1-8b

            The index has the model's sizes but belongs to no file. It can be asked like any other, and the answers are noise. \
            `longtake rm` removes it.
            """))

    @Option(help: "Number of frames, one per second: 10800 are three hours.")
    var frames: Int

    @Option(help: "Seed of the random records.")
    var seed: UInt64 = 1

    @Option(
        help: "Keep the patches of each frame (patches) or of a sample (tokens).", completion: .list(IndexOptions.keeps)
    )
    var keep: String?

    @Option(help: "Precision of the records: default or f32.", completion: .list(IndexOptions.records))
    var record: String?

    @OptionGroup var model: ModelOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        var options = IndexOptions()
        try options.set(
            sampling: IndexOptions.samplings[0],
            record: Choice.check(
                record ?? IndexOptions.records[0], "--record", of: IndexOptions.records, code: "bad_request"),
            keep: keep.map { try Choice.check($0, "--keep", of: IndexOptions.keeps, code: "bad_request") })
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
