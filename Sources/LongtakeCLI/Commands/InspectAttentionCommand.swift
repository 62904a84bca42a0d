import ArgumentParser
import Foundation
import Longtake

struct InspectAttentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention",
        abstract: "Show how much each layer attends to vision, instruction and answer tokens.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake inspect attention day.mp4 "Who comes in?"
              longtake inspect attention photo.jpg "What is it?" --svg attention.svg --json

            Answers the question greedily and records, for each layer, the share of attention that the question's rows and \
            the answer's rows give to vision tokens, to text and to the answer so far, and the entropy over the vision tokens \
            (in bits, of the answer's rows). The text before the vision tokens is not recorded. A recording is indexed first \
            if necessary.
            """))

    @Argument(
        help: "A video file, the ID of an indexed recording, or a still image (PNG, JPEG, WebP).",
        completion: RecordingCompletion.idsAndFiles)
    var input: PathArgument

    @Argument(help: "The question.")
    var question: String

    @Option(help: "Also a drawing of the shares by layer, as SVG.", completion: .file())
    var svg: String?

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard !input.path.isStandardInput else { throw UsageError("standard input cannot be inspected: give a file") }
        let asked = try answering.question(question)
        let options = try sampling.options()
        let isImage = input.path.isImage
        if isImage, answering.from != nil || answering.to != nil {
            throw UsageError("a still image has no times: omit --from and --to")
        }
        let loaded = try model.load()
        let analyzer = Analyzer(
            model: loaded, library: try library.open(telling: output), prefixCache: .never,
            cancellation: Interruption.cancellation)
        let progress = output.progress
        let found =
            try isImage
            ? analyzer.inspectAttention(asked, aboutImage: input.path)
            : analyzer.inspectAttention(asked, about: input.path, options: options) {
                progress.show(IndexReport.line($0))
            }
        progress.clear()
        if let svg { try write(found.svg, to: svg) }
        if output.json { return Console.json(found) }
        if !output.isQuiet { Console.line(found.answer) }
        Console.line(Format.table(found.table))
        for note in found.notes { output.note("note: \(Console.name(Hint.hinted(note)))") }
    }

    private func write(_ text: String, to file: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: file), options: .atomic)
        } catch {
            throw Failure.cannotWrite(file, error)
        }
    }
}
