import ArgumentParser
import Glibc
import Longtake

struct AskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answer a question about a recording.",
        discussion: """
            EXAMPLES
              longtake ask day.mp4 "Who comes in?"
              longtake ask vid_0f3a9c2e "What is on the table?" --from 01:30:00 --json
              longtake ask --image photo.png "What is this?"

            A file is indexed first where it is not; the next question then takes seconds. The answer goes to standard \
            output as it comes. It is a model's output and may be wrong.
            """)

    @Argument(help: "A video file, - for standard input, or the id of an indexed recording (`longtake ls`).")
    var recording: PathArgument

    @Argument(help: "The question.")
    var question: String

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

    mutating func run() throws {
        let wanted = try makeQuestion()
        let options = try sampling.options()
        let loaded = try model.load()
        let progress = output.progress
        let showsText = !output.json
        var said = false
        let onText = { (text: String) -> Bool in
            progress.clear()
            if showsText { Console.result(Console.safe(text)) }
            said = true
            return true
        }
        var answer: Answer
        let analyzer = Analyzer(model: loaded, library: try library.open(), cancellation: Interruption.cancellation)
        if image, from != nil || to != nil { throw UsageError("a picture has no times: leave --from and --to out") }
        if image {
            Interruption.endAtOnce()
            answer = try analyzer.ask(wanted, aboutPicture: recording.path.description, onText: onText)
        } else {
            answer = try analyzer.ask(
                wanted, about: recording.path, options: options,
                indexing: { progress.show(IndexReport.line($0)) },
                progress: { fraction in
                    Interruption.endAtOnce()
                    progress.show("reading the question and the frames: \(Int(fraction * 100)) %")
                }, onText: onText)
        }
        progress.clear()
        if output.json {
            Console.json(answer)
        } else {
            if !said { Console.result(Console.safe(answer.answer)) }
            Console.line()
            report(answer)
        }
        if answer.notes.contains(where: { $0.hasPrefix("partial:") }) { throw ExitCode(Exit.partial) }
    }

    private func makeQuestion() throws -> Question {
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

    private func report(_ answer: Answer) {
        for note in answer.notes { output.note("note: \(Console.name(note))") }
        guard answer.found else { return }
        let timings = answer.timings
        var line = image ? "1 picture" : answer.frames == 1 ? "1 frame" : "\(answer.frames) frames"
        if !image, let first = answer.range.first, let last = answer.range.last {
            line += " at \(TimeText.clock(first)) to \(TimeText.clock(last))"
        }
        if answer.fusion.frames < answer.fusion.of {
            line +=
                ", fused with \(answer.fusion.frames) of them (relative standard error "
                + "\(Format.short(answer.fusion.relativeStandardError)))"
        }
        output.note(line + " · " + answer.caution)
        var speed = "first token after \(Format.time(timings.firstToken)), \(answer.tokenIDs.count) tokens"
        if let each = timings.secondsPerToken { speed += ", \(Format.short(each)) s per token" }
        if let each = timings.secondsPerFrame { speed += "; indexed at \(Format.short(each)) s per frame" }
        output.note(speed + "; peak memory \(Format.bytes(Int64(timings.peakMemoryBytes)))")
    }
}
