import ArgumentParser
import Glibc
import Longtake

struct ChatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talk about a recording: each question knows those before it.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake chat day.mp4
              printf 'Who comes in?\\nWhat does she carry?\\n' | longtake chat vid_0f3a9c2e

            One question per line, one answer per line. /range FROM TO looks at a part only (/range: at everything), \
            /evidence says what the last answer was read from, /new forgets what was said, /quit or the end of input ends.
            """))

    @Argument(help: "A video file, or the id of an indexed recording (`longtake ls`).")
    var recording: PathArgument

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var deriving: DeriveOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard !recording.path.isStandardInput else {
            throw UsageError("the questions come from standard input: index the recording first, then give its id")
        }
        let settings = try answering.question("-")
        let options = try sampling.options()
        let loaded = try model.load()
        let analyzer = Analyzer(
            model: loaded, library: try library.open(telling: output), derive: try deriving.policyOfQuestions(),
            cancellation: Interruption.cancellation)
        let progress = output.progress
        let conversation = try analyzer.converse(
            about: recording.path, settings: settings, options: options,
            indexing: { progress.show(IndexReport.line($0)) })
        progress.clear()
        // Nothing is written from here on, so a signal can end the process at once.
        Interruption.endAtOnce()
        let isTerminal = isatty(STDIN_FILENO) == 1
        if isTerminal {
            output.note(
                "\(counted(conversation.frames, "frame")), \(TimeText.clock(conversation.duration)); /quit ends, /help helps"
            )
        }
        var notesSaid: Set<String> = []
        while true {
            if isTerminal { Console.write("> ", to: STDERR_FILENO) }
            guard let line = readLine() else { break }
            let text = line.trimmedSpaces
            if text.isEmpty { continue }
            if text.hasPrefix("/") {
                guard try command(text, conversation) else { break }
            } else {
                try ask(text, conversation, progress, loaded.notes, &notesSaid)
            }
        }
        if isTerminal { Console.write("\n", to: STDERR_FILENO) }
    }

    /// Runs a slash command; returns false to end the conversation.
    private func command(_ text: String, _ conversation: Conversation) throws -> Bool {
        let words = text.split(separator: " ").map(String.init)
        switch words[0] {
        case "/quit", "/exit": return false
        case "/evidence": showEvidence(conversation.last)
        case "/new":
            conversation.restart()
            output.note("what was said is forgotten")
        case "/range": try range(Array(words.dropFirst()), conversation)
        default:
            say("/range FROM TO · /range · /evidence · /new · /quit; anything else is a question")
        }
        return true
    }

    /// Prints to the user, even with --quiet.
    private func say(_ text: String) { output.json ? output.warn(text) : Console.note(text) }

    private func range(_ words: [String], _ conversation: Conversation) throws {
        let times = words.map { TimeText.seconds($0) }
        guard words.count <= 2, !times.contains(nil), times.count < 2 || (times[0] ?? 0) < (times[1] ?? 0) else {
            return say(
                "/range FROM TO, both like 90, 10m or 01:30:00, FROM before TO; /range alone: everything")
        }
        try conversation.setRange(from: times.first ?? nil, to: times.count > 1 ? times[1] : nil)
        output.note("\(counted(conversation.frames, "frame")) in this range")
    }

    private func showEvidence(_ answer: Answer?) {
        guard let answer else { return say("nothing was asked yet") }
        if output.json { return Console.jsonLine(answer.evidence) }
        Console.line(answer.evidence.isEmpty ? "seen nowhere in particular" : AnswerPrinter.seen(answer.evidence))
        if Console.isOutputTerminal, let line = Sparkline.text(answer) { Console.line(line) }
    }

    private func ask(
        _ text: String, _ conversation: Conversation, _ progress: Progress, _ modelNotes: [String],
        _ notesSaid: inout Set<String>
    ) throws {
        var said = false
        let answer: Answer
        do {
            answer = try conversation.ask(
                text,
                progress: { progress.show("reading the question and the frames: \(Int(saturating: $0 * 100)) %") },
                onText: { piece in
                    progress.clear()
                    if !output.json { Console.result(Console.safe(piece).oneLine) }
                    said = true
                    return true
                })
        } catch {
            // For example, a question that is too long; the next one may be shorter.
            progress.clear()
            let failure = Failure(error)
            guard failure.exitCode == Exit.usage || failure.exitCode == Exit.refused else { throw failure }
            return output.failed(failure, during: "ask")
        }
        progress.clear()
        if output.json { return Console.jsonLine(answer) }
        if !said { Console.result(Console.name(answer.answer)) }
        Console.line()
        if answering.wantsEvidence || Console.isOutputTerminal { showEvidence(answer) }
        for note in answer.notes where notesSaid.insert(note).inserted {
            output.note(AnswerPrinter.line(note, of: answer, modelNotes: modelNotes))
        }
    }
}

extension String {
    fileprivate var trimmedSpaces: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }

    /// The text on one line, since each answer is one line whatever the model generates.
    fileprivate var oneLine: String { String(map { $0.isNewline ? " " : $0 }) }
}
