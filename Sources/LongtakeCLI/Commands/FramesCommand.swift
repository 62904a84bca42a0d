import ArgumentParser
import Longtake

struct FramesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frames", abstract: "Write what the model sees of a recording, as PNG.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake frames day.mp4 --out frames
              longtake frames day.mp4 --out frames --size native --fps 0.1

            DIR gets frame-000000.png … and frames.json with each frame's grid time and true presentation time.
            """))

    @Argument(help: "A video file, or - for standard input.")
    var recording: PathArgument

    @Option(help: "The folder to write to; made where missing.")
    var out: String

    @Option(help: "model: as the model's folder says (CLIP at 336 without a model); native: upright, square pixels.")
    var size = FrameExport.Size.model.rawValue

    @Flag(help: "Remove the pictures of an earlier run from DIR.")
    var overwrite = false

    @Option(name: .shortAndLong, help: "Folder of the model, for its preprocessing. (env: LONGTAKE_MODEL)")
    var model: String?

    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard let size = FrameExport.Size(rawValue: size) else {
            throw UsageError("--size is model or native, not \(size)")
        }
        var export = FrameExport(cancellation: Interruption.cancellation)
        export.size = size
        export.options = try sampling.options()
        export.overwrite = overwrite
        export.modelPath = model ?? Environment.text("MODEL")
        let progress = output.progress
        let summary = try export.run(recording.path, into: out) { progress.show("\(counted($0, "frame")) written") }
        progress.clear()
        if output.json {
            Console.json(summary)
        } else {
            Console.line(
                output.isQuiet ? out : "\(counted(summary.frames.count, "frame")) in \(Console.name(out))")
            for note in summary.noteLines {
                output.note("note: \(Console.name(recording.path.description)): \(Console.name(note))")
            }
        }
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }
}
