import ArgumentParser
import Longtake

struct FramesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frames", abstract: "Write the frames of a recording as the model sees them, as PNG.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake frames day.mp4 --out frames
              longtake frames day.mp4 --out frames --size native --fps 0.1

            DIR gets frame-000000.png … and frames.json with each frame's grid time and true presentation time.
            """))

    @Argument(help: "A video file, or - for standard input.")
    var recording: PathArgument

    @Option(help: "Folder to write to; created if missing.", completion: .directory)
    var out: String

    @Option(
        help: "model: preprocessed for the model (CLIP at 336 without a model); native: upright, square pixels.",
        completion: .list(FrameExport.Size.allCases.map(\.rawValue)))
    var size = FrameExport.Size.model.rawValue

    @Flag(help: "Remove the images of an earlier run from DIR.")
    var overwrite = false

    @Option(.model, "Folder or name of the model, for its preprocessing.", completion: .directory)
    var model: String?

    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        let sizes = FrameExport.Size.allCases.map(\.rawValue)
        var export = FrameExport(cancellation: Interruption.cancellation)
        export.size = FrameExport.Size(rawValue: try Choice.check(size, "--size", of: sizes)) ?? .model
        export.options = try sampling.options()
        export.overwrite = overwrite
        export.modelPath = try OptionName.model.value(model).map(ModelFolder.path)
        let progress = output.progress
        let summary = try export.run(recording.path, into: out) { progress.show("\(counted($0, "frame")) written") }
        progress.clear()
        if output.json {
            Console.json(summary)
        } else {
            Console.line(
                output.isQuiet ? out : "\(counted(summary.frames.count, "frame")) in \(Console.name(out))")
            for note in summary.noteLines {
                output.note("note: \(Console.name(recording.path.description)): \(Console.name(Hint.hinted(note)))")
            }
        }
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }
}
