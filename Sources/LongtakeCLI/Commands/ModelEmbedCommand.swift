import ArgumentParser
import Longtake

struct ModelEmbedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Compute embeddings of texts, images and frames that can be compared.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model embed DIR --text "a red car" --image car.jpg
              longtake model embed DIR --recording day.mp4 --fps 0.5 > frames.jsonl
              ls *.png | longtake model embed DIR --images -

            Writes one JSON object per line: kind (text, image or frame), input, time in seconds for frames, and \
            embedding, a vector of length 1; the dot product of two is their cosine. Texts come first, then images, then \
            frames, each in the order given. Images and frames are preprocessed as ask and index do.

            A text longer than the text tower's context (77 tokens for CLIP) is truncated; the end token is kept.
            """))

    @Argument(
        help: "Folder of a CLIP checkpoint with both towers, or of a model whose vision tower is one.",
        completion: .directory)
    var folder: String

    @Option(help: "A text; may be repeated. If it begins with a dash: --text=-5.")
    var text: [String] = []

    @Option(help: "A file with one text per line, or - for standard input. Blank lines are skipped.")
    var texts: PathArgument?

    @Option(help: "A still image (PNG, JPEG, WebP); may be repeated.")
    var image: [PathArgument] = []

    @Option(help: "A file with one path of a still image per line, or - for standard input.")
    var images: PathArgument?

    @Option(help: "A video file, or - for standard input.")
    var recording: PathArgument?

    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    private struct Line: Encodable {
        let kind: String
        let input: String
        var time: Double?
        let embedding: [Float]
    }

    mutating func run() throws {
        try check()
        let options = try sampling.options()
        // Open the input files first, so that a missing one is reported before the model loads.
        let textLines = try texts.map(lines), imageLines = try images.map(lines)
        let embedder = try load()
        for note in embedder.notes { output.note("note: \(Console.name(note))") }
        func write(text: String) throws {
            try Interruption.check()
            Console.jsonLine(Line(kind: "text", input: text, embedding: try embedder.embed(text: text)))
        }
        func write(image: InputPath) throws {
            try Interruption.check()
            let embedding = try embedder.embed(imageFile: image)
            Console.jsonLine(Line(kind: "image", input: image.description, embedding: embedding))
        }
        for text in text { try write(text: text) }
        while let text = try textLines?.nextText() { try write(text: text) }
        for image in image { try write(image: image.path) }
        while let bytes = try imageLines?.next() { try write(image: InputPath(bytes: bytes)) }
        guard let path = recording?.path else { return }
        let summary = try embedder.embed(
            recording: path, options: options, cancellation: Interruption.cancellation
        ) { frame in
            Console.jsonLine(
                Line(kind: "frame", input: path.description, time: frame.time, embedding: frame.embedding))
        }
        for note in summary.notes {
            output.note("note: \(Console.name(path.description)): \(Console.name(Hint.hinted(note)))")
        }
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }

    private func check() throws {
        guard !text.isEmpty || !image.isEmpty || texts != nil || images != nil || recording != nil else {
            throw UsageError("no input: give --text, --texts, --image, --images or --recording")
        }
        guard [texts, images, recording].count(where: { $0?.path.isStandardInput == true }) <= 1 else {
            throw UsageError("standard input can be read once: give - to only one of --texts, --images and --recording")
        }
        guard !text.contains(where: PathArgument.wasRepaired) else { throw UsageError("a text is not valid UTF-8") }
        if recording == nil, sampling.fps != nil { throw UsageError("--fps requires --recording") }
    }

    private func lines(_ file: PathArgument) throws -> InputLines {
        try InputLines(file.path, cancellation: Interruption.cancellation)
    }

    private func load() throws -> Embedder {
        let settings = try compute.settings()
        do {
            return try Embedder(path: ModelFolder.path(of: folder), settings: settings)
        } catch {
            throw Failure(error, subject: folder)
        }
    }
}
