import ArgumentParser
import Longtake

struct InspectCompressionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compression",
        abstract: "Draw where the compressor looks in the frames of a recording, or in an image.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake inspect compression day.mp4 --out maps
              longtake inspect compression day.mp4 --at 1:02:03 --out maps
              longtake inspect compression day.mp4 --every 10 --video maps.mp4 --out maps
              longtake inspect compression photo.jpg --out maps --json

            The compressor turns the patches of a frame into its vision token by one cross-attention; its weights say how \
            much each patch contributes. DIR gets a PNG and an SVG per frame, a contact sheet of 2 to 144, and \
            compression.json with the weights. Without --at and --every, at most 24 frames of the whole recording; with \
            --every at most 10000. In a video each picture lasts until the next one, at most a second.
            """))

    @Argument(help: "A video file or a still image (PNG, JPEG, WebP).", completion: .file())
    var input: PathArgument

    @Option(
        help: "Folder to write to; created if missing. Files of the same names are overwritten.", completion: .directory
    )
    var out: String

    @Option(help: "Only the frame that is shown at this time: 90, 1:30, 10m.")
    var at: TimeArgument?

    @Option(help: "A frame every so much time: 5, 1m.")
    var every: TimeArgument?

    @Option(
        help: "Also a video of the pictures, encoded by ffmpeg, in the container that its name says.",
        completion: .file())
    var video: String?

    @OptionGroup var model: ModelOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let frames: Int
        let files: [String]
        let notes: [String]
    }

    mutating func run() throws {
        let choice = try choice()
        let folder = try model.folder()
        let inspector: CompressionInspector
        do {
            inspector = try CompressionInspector(
                path: folder, settings: try model.settings(), cancellation: Interruption.cancellation)
        } catch {
            throw Failure(error, subject: folder)
        }
        let progress = output.progress
        var report: CompressionReport?
        let (out, input, video) = (out, input.path, video)
        let summary = try inspector.inspect(input, choice) { inspected, interval in
            var writing =
                try report
                ?? CompressionReport(folder: out, input: input.description, video: video, interval: interval)
            try writing.add(inspected)
            report = writing
            progress.show("\(counted(writing.count, "frame")) written")
        }
        progress.clear()
        try report?.finish(notes: summary.notes)
        let files = report?.files ?? []
        if output.json {
            Console.json(Report(frames: summary.frames, files: files, notes: summary.notes))
        } else {
            Console.line(output.isQuiet ? out : "\(counted(summary.frames, "frame")) in \(Console.name(out))")
            for note in summary.notes { output.note("note: \(Console.name(Hint.hinted(note)))") }
        }
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }

    private func choice() throws -> CompressionInspector.Choice {
        guard at == nil || every == nil else {
            throw UsageError("--at and --every exclude each other: give one of them")
        }
        guard !input.path.isStandardInput else {
            throw UsageError("standard input cannot be inspected: give a file")
        }
        if let at { return .at(at.seconds) }
        guard let every else { return .spread }
        guard every.seconds >= 0.001, every.seconds <= 86_400 else {
            throw UsageError("--every must be 0.001 s to 24 h, not \(every.seconds)")
        }
        return .every(every.seconds)
    }
}
