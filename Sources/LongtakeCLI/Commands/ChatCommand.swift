import ArgumentParser
import Glibc
import Longtake

struct ChatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Ask about a recording in a conversation: each question can refer to earlier ones.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake chat day.mp4
              printf 'Who comes in?\\nWhat does she carry?\\n' | longtake chat vid_0f3a9c2e

            One question per line, one answer per line. /range FROM TO limits the range (/range: the whole recording), \
            /evidence prints the intervals the last answer was read from, /new starts a new conversation, /quit or the end of \
            input ends.
            """))

    @Argument(
        help: "A video file, or the ID of an indexed recording (`longtake ls`).",
        completion: RecordingCompletion.idsAndFiles)
    var recording: PathArgument

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard !recording.path.isStandardInput else {
            throw UsageError("standard input has the questions: index the recording first, then give its ID")
        }
        let settings = try answering.question("-")
        let options = try sampling.options()
        let policy = try prefixCache.policyOfQuestions()
        let loaded = try model.load(keyValues: (keyValues, nil))
        let analyzer = Analyzer(
            model: loaded, library: try library.open(telling: output), prefixCache: policy,
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
                "\(counted(conversation.frames, "frame")), \(TimeText.clock(conversation.duration)); /quit ends, /help lists commands"
            )
        }
        var notesShown: Set<String> = []
        while true {
            if isTerminal { Console.write("> ", to: STDERR_FILENO) }
            guard let line = readLine() else { break }
            let text = line.trimmedSpaces
            if text.isEmpty { continue }
            if text.hasPrefix("/") {
                guard try command(text, conversation) else { break }
            } else {
                try ask(text, conversation, progress, loaded.notes, &notesShown)
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
            output.note("new conversation")
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
                "/range FROM TO: two times such as 90, 10m or 01:30:00, FROM before TO; /range alone: the whole recording"
            )
        }
        try conversation.setRange(from: times.first ?? nil, to: times.count > 1 ? times[1] : nil)
        output.note("\(counted(conversation.frames, "frame")) in this range")
    }

    private func showEvidence(_ answer: Answer?) {
        guard let answer else { return say("no question asked yet") }
        if output.json { return Console.jsonLine(answer.evidence) }
        Console.line(answer.evidence.isEmpty ? "not seen at a particular time" : AnswerPrinter.seen(answer.evidence))
        if Console.isOutputTerminal, let line = Sparkline.text(answer) { Console.line(line) }
    }

    private func ask(
        _ text: String, _ conversation: Conversation, _ progress: Progress, _ modelNotes: [String],
        _ notesShown: inout Set<String>
    ) throws {
        var printed = false
        let answer: Answer
        do {
            answer = try conversation.ask(
                text,
                progress: { progress.show("reading the question and the frames: \(Int(saturating: $0 * 100)) %") },
                onText: { piece in
                    progress.clear()
                    if !output.json { Console.result(Console.safe(piece).oneLine) }
                    printed = true
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
        if !printed { Console.result(Console.name(answer.answer)) }
        Console.line()
        if answering.wantsEvidence || Console.isOutputTerminal { showEvidence(answer) }
        for note in answer.notes where notesShown.insert(note).inserted {
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
