import ArgumentParser
import Longtake

struct ModelCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Compare a precision with f32 on a recording of yours.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model check ~/models/llava-mini-llama-3.1-8b day.mp4 --precision bf16
              longtake model check nano day.mp4 --questions questions.txt --json
              longtake model check ~/models/llava-mini-llama-3.1-8b day.mp4 --tokens-only

            Computes the recording's vision tokens and the answers to some questions in f32 and in --precision, one model \
            after the other, and compares them: the cosine of the vision tokens, the divergence of the next token's \
            distribution, the answers whose text changes. A temporary cache in TMPDIR takes the frames of both. In f32 a \
            model needs up to twice the memory of its 16-bit weights (`longtake model inspect` shows it); with --tokens-only \
            the language model needs none.
            """))

    @Argument(help: "Folder of the model.", completion: .directory)
    var folder: String

    @Argument(help: "A video file.", completion: .file())
    var recording: PathArgument

    @Option(
        help: ArgumentHelp(
            "The folder that DIR was quantized from: the reference for a folder with quantized weights.",
            valueName: "dir"), completion: .directory)
    var reference: String?

    @Option(
        help: ArgumentHelp(
            "File with the questions to ask, one per line; - for standard input. Lines that begin with # are comments.",
            valueName: "file"), completion: .file())
    var questions: PathArgument?

    @Flag(help: "Compare only the vision tokens and ask no questions.")
    var tokensOnly = false

    @Option(help: "Most frames to compare, evenly spread; 60 by default.")
    var frames: Int = ModelChecker.defaultFrames

    @Option(help: "Most tokens of an answer; 64 by default.")
    var maxTokens: Int = ModelChecker.defaultMaxTokens

    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        guard frames > 0 else { throw UsageError("--frames must be at least 1, not \(frames)") }
        guard maxTokens > 0 else { throw UsageError("--max-tokens must be at least 1, not \(maxTokens)") }
        guard !recording.path.isStandardInput else {
            throw UsageError("the recording is read twice and cannot be standard input; give a file")
        }
        guard !tokensOnly || questions == nil else {
            throw UsageError("--tokens-only asks no questions; leave out --questions")
        }
        let asked = tokensOnly ? [] : try questions.map(lines) ?? ModelCheck.defaultQuestions
        var settings = try compute.settings()
        // With a reference, the folder is compared as it is stored.
        if reference == nil { try settings.setDefault(precision: "int8") }
        let checker = ModelChecker(
            path: ModelFolder.path(of: folder), reference: reference.map(ModelFolder.path), settings: settings,
            options: try sampling.options(), questions: asked, maxTokens: maxTokens,
            cancellation: Interruption.cancellation)
        let progress = output.progress
        let check = try checker.check(recording.path, frameLimit: frames) { progress.show($0) }
        progress.clear()
        if output.json { return Console.json(check) }
        for note in check.notes { output.note("note: \(Console.name(Hint.hinted(note)))") }
        show(check)
    }

    private func lines(_ file: PathArgument) throws -> [String] {
        let lines = try InputLines(file.path, cancellation: Interruption.cancellation)
        var texts: [String] = []
        while let line = try lines.nextText() {
            if !line.hasPrefix("#") { texts.append(line) }
        }
        guard !texts.isEmpty else {
            throw UsageError("\(file.path.description): no question in it, every line is a comment")
        }
        return texts
    }

    private func show(_ check: ModelCheck) {
        let tokens = check.visionTokens
        Console.line(
            "\(check.precision) compared with f32: \(counted(check.frames, "frame")), "
                + "\(counted(check.answers.count, "question"))")
        let cosines = [
            "vision tokens, cosine", "lowest \(Format.number(tokens.lowestCosine, digits: 6))",
            "median \(Format.number(tokens.medianCosine, digits: 6))",
        ]
        guard !check.answers.isEmpty else { return Console.line(Format.table([cosines])) }
        let divergences = check.answers.map(\.firstTokenDivergence).sorted()
        let means = check.answers.map(\.meanDivergence).sorted()
        Console.line(
            Format.table([
                cosines,
                [
                    "first token, divergence", "highest \(Format.short(divergences.last ?? 0))",
                    "median \(Format.short(divergences[divergences.count / 2]))",
                ],
                [
                    "all tokens, divergence", "highest \(Format.short(means.last ?? 0))",
                    "median \(Format.short(means[means.count / 2]))",
                ],
                ["answers that change", "\(check.changed) of \(check.answers.count)"],
            ]))
        for answer in check.answers where !answer.same {
            Console.line("\(Console.name(answer.question))")
            Console.line("    f32   \(Console.name(answer.reference))")
            Console.line("    \(check.precision.padding(toLength: 4))  \(Console.name(answer.answer))")
        }
    }
}

extension String {
    fileprivate func padding(toLength length: Int) -> String {
        self + String(repeating: " ", count: max(0, length - count))
    }
}
