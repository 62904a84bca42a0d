import ArgumentParser
import Glibc
import Longtake

struct AskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answer questions about recordings.",
        usage: "longtake ask RECORDING… QUESTION… [OPTIONS]",
        discussion: Help.text(
            """
            EXAMPLES
              longtake ask day.mp4 "Who comes in?"
              longtake ask day.mp4 "Who comes in?" "What is on the table?"
              longtake ask vid_0f3a9c2e "What is on the table?" --from 01:30:00 --json
              longtake ask day.mp4 "Is the door open?" --segments 10m --format csv
              longtake ask mon.mp4 tue.mp4 ~/Recordings "When does the parcel come?"
              longtake ask --image photo.png "What is this?"

            A file is indexed first where it is not; the next question then takes seconds. The answer goes to standard \
            output as it comes. It is a model's output and may be wrong. Several questions at once take less time than one \
            after the other. Of several recordings, those where something was found come first.
            """))

    @Argument(
        help: ArgumentHelp(
            """
            Video files, folders of them, - for standard input, or ids of indexed recordings (`longtake ls`); then the \
            question, or several. The first is a recording, the last a question.
            """, valueName: "recording … question"))
    var words: [String] = []

    @OptionGroup var inputs: InputOptions

    @OptionGroup var answering: AnswerOptions

    @Option(
        help: ArgumentHelp(
            "More questions, one per line; - is standard input; lines that begin with # are comments.",
            valueName: "file"))
    var questions: String?

    @Option(
        help: ArgumentHelp("Ask about each stretch of this length in turn: 90, 10m, 1h.", valueName: "time"))
    var segments: TimeArgument?

    @Option(help: "text, jsonl, csv or vtt (subtitles; with --segments one per stretch). (env: LONGTAKE_FORMAT)")
    var format: String?

    @Option(
        help: """
            A second look: answer again with the N frames that the first answer was read from. auto (the default): where \
            the first look was a sample and its answer not certain; off; or N. (env: LONGTAKE_FOCUS)
            """)
    var focus: String?

    @Option(
        help: ArgumentHelp(
            "Write a picture of each stretch that the answer was read from, and a contact sheet.", valueName: "dir"))
    var thumbnails: String?

    @Flag(help: "The file is a still picture (PNG, JPEG, WebP).")
    var image = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var deriving: DeriveOptions
    @OptionGroup var output: OutputOptions

    /// - Throws: a usage error before anything is opened, if the arguments do not form recordings and questions.
    private func check(_ split: AskWords) throws {
        try split.check()
        let typed = split.questions
        if typed.isEmpty, questions == nil { throw UsageError("ask what? Give the question after the recording") }
        if typed.count > 1, !typed.contains(where: { $0.contains(" ") }) {
            throw UsageError("\(typed.count) questions of one word each: put a question of several words in quotes")
        }
        if image, typed.count > 1 || questions != nil {
            throw UsageError("one question at a time about a picture")
        }
    }

    mutating func run() throws {
        StatusSignal.answer()
        let split = AskWords(words, hasMore: questions != nil, hasRecordings: inputs.hasList)
        try check(split)
        let names = split.recordings
        var texts = split.questions
        if let questions {
            if questions == "-", names.contains("-") {
                throw UsageError("standard input cannot be both the recording and the questions")
            }
            if questions == "-", inputs.readsStandardInput {
                throw UsageError("standard input cannot be both the questions and the list of files")
            }
            let lines = try InputLines(InputPath(questions), cancellation: Interruption.cancellation)
            while let line = try lines.nextText() {
                if !line.hasPrefix("#") { texts.append(line) }
            }
            guard !texts.isEmpty else {
                throw UsageError(
                    "\(questions == "-" ? "standard input" : questions): every line is a comment; no question in it")
            }
        }
        let wanted = try texts.map(makeQuestion)
        let options = try sampling.options()
        if inputs.readsStandardInput, names.contains("-") {
            throw UsageError("standard input cannot be both a recording and a list of files")
        }
        let typedPaths = names.compactMap { PathArgument(argument: $0)?.path }
        let paths = try typedPaths + inputs.listed()
        let several = paths.count != 1 || inputs.hasList || paths.contains(where: \.isFolder)
        let style = try style(several: several)
        if image { return try askImage(paths, wanted, style) }
        if let segments, segments.seconds <= 0 { throw UsageError("--segments must be above 0") }

        let walker = try inputs.walk(paths, output)
        let loaded = try model.load()
        let library = try library.open(telling: output)
        if several { try requireKnown(typedPaths, library) }
        let analyzer = Analyzer(
            model: loaded, library: library, derive: try deriving.policyOfQuestions(),
            cancellation: Interruption.cancellation)
        let printer = AnswerPrinter(
            output,
            .init(
                style: style, questions: wanted.count > 1, recordings: several, segments: segments != nil,
                evidence: answering.wantsEvidence, modelNotes: loaded.notes))
        let work = AskWork(
            analyzer: analyzer, library: library, questions: wanted, options: options, segments: segments?.seconds,
            thumbnails: thumbnails, output: output)
        if several {
            try work.rank(walker, printer)
        } else if let path = paths.first {
            try work.ask(path, printer) { printer.finish($1) }
        }
        if printer.isPartial { throw ExitCode(Exit.partial) }
    }

    /// Rejects a recording that is neither a file nor indexed, a likely typing error, before any of the others is asked
    /// about.
    private func requireKnown(_ paths: [InputPath], _ library: Library) throws {
        for path in paths where !path.isStandardInput && !path.exists {
            let name = path.description
            guard try library.indexes(matching: name).isEmpty else { continue }
            guard RecordingWord.looksLikeID(name) else { throw RecordingWord.missing(name) }
            throw Failure(
                code: "unknown_recording", message: "no recording \(name) is indexed; `longtake ls` lists what is",
                exitCode: Exit.noCache)
        }
    }

    private func askImage(_ paths: [InputPath], _ wanted: [Question], _ style: AnswerPrinter.Style) throws {
        if answering.from != nil || answering.to != nil || segments != nil {
            throw UsageError("a picture has no times: leave --from, --to and --segments out")
        }
        if thumbnails != nil { throw UsageError("a picture is its own thumbnail: leave --thumbnails out") }
        guard let path = paths.first, paths.count == 1, let question = wanted.first else {
            throw UsageError("one picture at a time")
        }
        let loaded = try model.load()
        let analyzer = Analyzer(
            model: loaded, library: try library.open(telling: output), cancellation: Interruption.cancellation)
        let printer = AnswerPrinter(output, .init(style: style, picture: true))
        Interruption.endAtOnce()
        let answer = try analyzer.ask(question, aboutImage: path.description) { printer.text(question.text, $0) }
        printer.finish(answer)
    }

    private func style(several: Bool) throws -> AnswerPrinter.Style {
        let word = format ?? (output.json ? nil : Environment.text("FORMAT"))
        guard let word else { return output.json ? .json : .text }
        guard let known = AnswerPrinter.Style(rawValue: word), known != .json else {
            throw UsageError("--format is text, jsonl, csv or vtt, not \(word)")
        }
        if output.json, known != .jsonl { throw UsageError("--json and --format \(word): give one of them") }
        if several, known == .vtt { throw UsageError("--format vtt is for one recording: each has its own times") }
        return known
    }

    private func makeQuestion(_ text: String) throws -> Question {
        var wanted = try answering.question(text)
        let word = focus ?? Environment.text("FOCUS") ?? "auto"
        switch word {
        case "auto": wanted.focus = .automatic
        case "off": wanted.focus = .off
        default:
            guard let count = Int(word), (1...100_000).contains(count) else {
                throw UsageError("--focus is auto, off or a number of frames from 1 to 100000, not \(word)")
            }
            wanted.focus = .frames(count)
        }
        return wanted
    }
}
