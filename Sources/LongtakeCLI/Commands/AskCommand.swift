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
              longtake ask day.mp4 "How many people come in?" --answer number
              longtake ask mon.mp4 tue.mp4 ~/Recordings "When does the parcel come?"
              longtake ask ~/cams "Who comes in?" --camera front --since 2026-11-29T08:00 --until 2026-11-29T12:00
              longtake ask --image photo.png "What is this?"

            A file that is not indexed is indexed first; further questions then take seconds. The answer is written to \
            standard output as it is generated. It is a model's output and may be wrong. Asking several questions at once is \
            faster than one after the other. Of several recordings, those with a finding come first. With --since, --until or \
            --camera and no recording, all indexed recordings that they select are asked about.
            """))

    @Argument(
        help: ArgumentHelp(
            """
            Video files, folders of them, - for standard input, or IDs of indexed recordings (`longtake ls`); then one or \
            more questions. The first argument is a recording, the last one a question.
            """, valueName: "recording … question"), completion: RecordingCompletion.idsAndFiles)
    var arguments: [String] = []

    @OptionGroup var inputs: InputOptions

    @OptionGroup var answering: AnswerOptions
    @OptionGroup var forms: AnswerFormOptions

    @Option(
        help: ArgumentHelp(
            """
            File with more questions, one per line, a form (see --answer) after a tab; - for standard input. Lines that \
            begin with # are comments.
            """, valueName: "file"), completion: .file())
    var questions: String?

    @Option(
        help: ArgumentHelp("Ask about each interval of this length in turn: 90, 10m, 1h.", valueName: "time"))
    var segments: TimeArgument?

    @Option(
        .format, "text, jsonl, csv or vtt (subtitles; with --segments one per interval).",
        completion: .list(AnswerPrinter.Style.options))
    var format: String?

    @Option(
        .focus,
        """
        Second pass: answer again with the N frames that the first answer was read from. auto (the default): if the first \
        pass used a sample and its answer is uncertain; off; or N.
        """, completion: .list(["auto", "off"]))
    var focus: String?

    @Option(
        help: ArgumentHelp(
            "Write an image of each interval that the answer was read from, and a contact sheet.", valueName: "dir"),
        completion: .directory)
    var thumbnails: String?

    @Flag(help: "The file is a still image (PNG, JPEG, WebP).")
    var image = false

    @OptionGroup var select: SelectionOptions
    @OptionGroup var clock: ClockOptions
    @OptionGroup var zone: ZoneOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions

    /// - Throws: a usage error before anything is opened, if the arguments do not form recordings and questions.
    private func check(_ split: AskArguments) throws {
        try split.check()
        let typed = split.questions
        if typed.isEmpty, questions == nil { throw UsageError("no question: give it after the recording") }
        if typed.count > 1, !typed.contains(where: { $0.contains(" ") }) {
            throw UsageError("\(typed.count) questions of one word each: put a question with spaces in quotes")
        }
        if image, typed.count > 1 || questions != nil {
            throw UsageError("--image takes one question at a time")
        }
    }

    mutating func run() throws {
        StatusSignal.answer()
        let clock = try clock.settings(zone)
        let selection = try select.selection(zone.zone())
        let asksAll = !selection.isEmpty && !inputs.hasList && !AskArguments.beginsWithRecording(arguments)
        let split = AskArguments(arguments, hasMore: questions != nil, hasRecordings: inputs.hasList || asksAll)
        try check(split)
        let names = split.recordings
        var texts: [(text: String, form: AnswerForm?)] = split.questions.map { ($0, nil) }
        if let questions {
            if questions == "-", names.contains("-") {
                throw UsageError("standard input cannot be both the recording and the questions")
            }
            if questions == "-", inputs.readsStandardInput {
                throw UsageError("standard input cannot be both the questions and the list of files")
            }
            let lines = try InputLines(InputPath(questions), cancellation: Interruption.cancellation)
            while let line = try lines.nextText() {
                if !line.hasPrefix("#") { texts.append(try AnswerFormOptions.line(line)) }
            }
            guard !texts.isEmpty else {
                throw UsageError(
                    "\(questions == "-" ? "standard input" : questions): no question in it, every line is a comment")
            }
        }
        var asked = try texts.map { try makeQuestion($0.text, $0.form, selection) }
        try forms.apply(to: &asked)
        var options = try sampling.options()
        options.clock = clock
        if inputs.readsStandardInput, names.contains("-") {
            throw UsageError("standard input cannot be both a recording and a list of files")
        }
        let typedPaths = names.compactMap { PathArgument(argument: $0)?.path }
        var paths = try typedPaths + inputs.listed()
        let several = asksAll || paths.count != 1 || inputs.hasList || paths.contains(where: \.isFolder)
        let style = try style(several: several)
        if image {
            guard selection.isEmpty else { throw UsageError("a still image has no time of day: omit the selection") }
            return try askImage(paths, asked, style)
        }
        if let segments, segments.seconds <= 0 { throw UsageError("--segments must be above 0") }

        let policy = try prefixCache.policyOfQuestions()
        var opened: Library?
        if asksAll {
            let library = try library.open(telling: output)
            paths = try Self.selected(selection, library, output)
            opened = library
        }
        let walker = try inputs.walk(paths, output)
        let loaded = try model.load(keyValues: (keyValues, nil))
        let library = try opened ?? library.open(telling: output)
        if several { try requireKnown(typedPaths, library) }
        let analyzer = Analyzer(
            model: loaded, library: library, prefixCache: policy,
            cancellation: Interruption.cancellation)
        let printer = AnswerPrinter(
            output,
            .init(
                style: style, questions: asked.count > 1, recordings: several, segments: segments != nil,
                evidence: answering.wantsEvidence, modelNotes: loaded.notes))
        let runner = AskRunner(
            analyzer: analyzer, library: library, questions: asked, options: options, segments: segments?.seconds,
            thumbnails: thumbnails, selection: selection, output: output)
        if several {
            try runner.rank(walker, printer)
        } else if let path = paths.first {
            let recording = Recording(path)
            if try analyzer.verdict(on: recording, options: options, by: selection) == .otherCamera {
                throw UsageError(
                    "\(path) is not a recording of \(Choice.list(selection.cameras)): `longtake show` shows its camera")
            }
            try runner.ask(recording, printer) { printer.finish($1) }
        }
        if printer.isPartial { throw ExitCode(Exit.partial) }
    }

    /// Rejects a recording that is neither a file nor indexed, a likely typing error, before any of the others is asked
    /// about.
    private func requireKnown(_ paths: [InputPath], _ library: Library) throws {
        for path in paths where !path.isStandardInput && !path.exists {
            let name = path.description
            guard try library.indexes(matching: name).isEmpty else { continue }
            guard RecordingArgument.looksLikeID(name) else { throw RecordingArgument.missing(name) }
            throw Failure(
                code: "unknown_recording",
                message: "no recording \(name) is indexed (`longtake ls` lists the recordings)",
                exitCode: Exit.noCache)
        }
    }

    private func askImage(_ paths: [InputPath], _ questions: [Question], _ style: AnswerPrinter.Style) throws {
        if answering.from != nil || answering.to != nil || segments != nil {
            throw UsageError("a still image has no times: omit --from, --to and --segments")
        }
        if thumbnails != nil { throw UsageError("a still image is its own thumbnail: omit --thumbnails") }
        guard let path = paths.first, paths.count == 1, let question = questions.first else {
            throw UsageError("--image takes one image at a time")
        }
        let loaded = try model.load(keyValues: (keyValues, nil))
        let analyzer = Analyzer(
            model: loaded, library: try library.open(telling: output), cancellation: Interruption.cancellation)
        let printer = AnswerPrinter(output, .init(style: style, isImage: true))
        Interruption.endAtOnce()
        let answer = try analyzer.ask(question, aboutImage: path.description) { printer.text(question.text, $0) }
        printer.finish(answer)
    }

    private func style(several: Bool) throws -> AnswerPrinter.Style {
        // --json overrides the environment's format.
        if output.json, format == nil { return .json }
        let text = try OptionName.format.choice(format, of: AnswerPrinter.Style.options)
        guard let style = text.flatMap(AnswerPrinter.Style.init) else { return .text }
        if output.json, style != .jsonl {
            throw UsageError("--json and --format \(style.rawValue) exclude each other: give one of them")
        }
        if several, style == .vtt { throw UsageError("--format vtt takes one recording: each has its own times") }
        return style
    }

    /// The IDs of the indexed recordings that are selected, each once.
    private static func selected(
        _ selection: RecordingSelection, _ library: Library, _ output: OutputOptions
    ) throws -> [InputPath] {
        let finished = try library.recordings().filter(\.isFinished)
        let (selected, notes) = try selection.apply(to: finished)
        for note in notes { output.note("note: \(Console.name(note))") }
        guard !selected.isEmpty else {
            throw Failure(
                code: "unknown_recording", message: "no indexed recording is of this time and camera",
                exitCode: Exit.noCache)
        }
        var seen: Set<String> = []
        return selected.map(\.id).filter { seen.insert($0).inserted }.map { InputPath($0) }
    }

    private func makeQuestion(_ text: String, _ form: AnswerForm?, _ selection: RecordingSelection) throws -> Question {
        var question = try answering.question(text)
        question.selection = selection
        question.form = form
        question.focus = try FocusMode(option: focus)
        return question
    }
}
