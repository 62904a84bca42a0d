import ArgumentParser
import Glibc
import Longtake

struct AskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answer questions about a recording.",
        discussion: """
            EXAMPLES
              longtake ask day.mp4 "Who comes in?"
              longtake ask day.mp4 "Who comes in?" "What is on the table?"
              longtake ask vid_0f3a9c2e "What is on the table?" --from 01:30:00 --json
              longtake ask --image photo.png "What is this?"

            A file is indexed first where it is not; the next question then takes seconds. The answer goes to standard \
            output as it comes. It is a model's output and may be wrong. Several questions at once take less time than one \
            after the other.
            """)

    @Argument(help: "A video file, - for standard input, or the id of an indexed recording (`longtake ls`).")
    var recording: PathArgument

    @Argument(help: "The question, or several.")
    var question: [String]

    @Option(help: "Look only from here on: 90, 10m, 01:30:00.")
    var from: TimeArgument?

    @Option(help: "Look only up to here (the frame at this time is not looked at).")
    var to: TimeArgument?

    @Option(help: "Longest answer in tokens, 512 by default. (env: LONGTAKE_MAX_TOKENS)")
    var maxTokens: Int?

    @Option(help: "0: always the likeliest token; above: sampled. (env: LONGTAKE_TEMPERATURE)")
    var temperature: Double?

    @Option(
        help:
            "With a temperature: the likeliest tokens that reach this probability together, 1 by default. (env: LONGTAKE_TOP_P)"
    )
    var topP: Double?

    @Option(help: "With a temperature: the same seed gives the same answer; 0 by default. (env: LONGTAKE_SEED)")
    var seed: UInt64?

    @Option(
        help: """
            Frames the question is fused with: auto (a sample of long ranges at full size) or exact (all). (env: \
            LONGTAKE_FUSION)
            """)
    var fusion: String?

    @Flag(help: "The file is a still picture (PNG, JPEG, WebP).")
    var image = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func validate() throws {
        if question.isEmpty { throw ValidationError("ask what? Give the question behind the recording") }
        if question.count > 1, !question.contains(where: { $0.contains(" ") }) {
            throw ValidationError(
                "\(question.count) questions of one word each: put a question of several words in quotes")
        }
        if image, question.count > 1 { throw ValidationError("one question at a time about a picture") }
    }

    mutating func run() throws {
        let wanted = try question.map(makeQuestion)
        let options = try sampling.options()
        let loaded = try model.load()
        let analyzer = Analyzer(model: loaded, library: try library.open(), cancellation: Interruption.cancellation)
        let printer = AnswerPrinter(output, picture: image, several: wanted.count > 1)
        if image {
            if from != nil || to != nil { throw UsageError("a picture has no times: leave --from and --to out") }
            Interruption.endAtOnce()
            let answer = try analyzer.ask(wanted[0], aboutPicture: recording.path.description) {
                printer.text(question[0], $0)
            }
            printer.finish(answer)
        } else {
            let progress = output.progress
            try analyzer.ask(
                wanted, about: recording.path, options: options,
                indexing: { progress.show(IndexReport.line($0)) },
                progress: { fraction in
                    Interruption.endAtOnce()
                    progress.show("reading the question and the frames: \(Int(fraction * 100)) %")
                },
                onText: { printer.text(wanted[$0].text, $1) }, onAnswer: { printer.finish($1) })
        }
        if printer.isPartial { throw ExitCode(Exit.partial) }
    }

    private func makeQuestion(_ question: String) throws -> Question {
        guard !PathArgument.wasRepaired(question) else { throw UsageError("the question is not valid UTF-8") }
        let word = fusion ?? Environment.text("FUSION") ?? FusionMode.automatic.rawValue
        guard let fusion = FusionMode(rawValue: word) else {
            throw UsageError("--fusion is auto or exact, not \(word)")
        }
        let tokens = try maxTokens ?? Environment.value("MAX_TOKENS") ?? Question.defaultMaxTokens
        guard (1...1_000_000).contains(tokens) else {
            throw UsageError("--max-tokens must be 1 to 1000000, not \(tokens)")
        }
        if let from, let to, from.seconds >= to.seconds { throw UsageError("--from must be before --to") }
        var wanted = Question(question, from: from?.seconds, to: to?.seconds, maxTokens: tokens, fusion: fusion)
        let heat = try temperature ?? Environment.value("TEMPERATURE") ?? 0
        guard heat >= 0, heat <= 100 else { throw UsageError("--temperature must be 0 to 100, not \(heat)") }
        let topP = try topP ?? Environment.value("TOP_P") ?? 1
        let seed = try seed ?? Environment.value("SEED") ?? 0
        guard topP > 0, topP <= 1 else { throw UsageError("--top-p must be above 0 and at most 1, not \(topP)") }
        wanted.sample(temperature: heat, topP: topP, seed: seed)
        return wanted
    }
}
