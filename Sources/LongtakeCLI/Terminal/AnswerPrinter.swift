import Longtake

/// Prints answers to standard output as they are generated, and their notes to standard error.
final class AnswerPrinter {
    enum Style: String {
        case text
        /// One document for one answer, JSON lines for several.
        case json
        case jsonl, csv, vtt

        /// The values of --format; JSON has its own option.
        static let options = [Self.text, jsonl, csv, vtt].map(\.rawValue)
    }

    /// The kinds of answers to expect, and the format to print them in.
    struct Layout {
        var style = Style.text
        /// Several questions: prints each answer after its question.
        var questions = false
        /// Several recordings: ranks their answers at the end.
        var recordings = false
        /// One answer per window.
        var segments = false
        /// The answer is about a still image.
        var isImage = false
        /// Prints the evidence; on a terminal it is printed anyway.
        var evidence = false
        /// Notes from the model's folder about the model.
        var modelNotes: [String] = []
    }

    private let output: OutputOptions
    private let layout: Layout
    private let progress: Progress
    /// True if text is printed as it is generated.
    private let live: Bool
    private let showsEvidence: Bool
    /// True if part of the current answer has been printed.
    private(set) var hasPrinted = false
    /// True if an answer came from a partial recording, or a recording failed.
    private(set) var isPartial = false
    /// Recordings whose notes have been printed.
    private var noted: Set<InputPath> = []
    /// Number of answers printed so far.
    private(set) var count = 0
    /// By index, the questions and the text of answers that come after the one being printed.
    private var waiting: [Int: (question: String, text: String)] = [:]

    init(_ output: OutputOptions, _ layout: Layout) {
        self.output = output
        self.layout = layout
        progress = output.progress
        live = layout.style == .text && !layout.recordings && !layout.segments
        showsEvidence = (layout.evidence || Console.isOutputTerminal) && !layout.isImage
    }

    /// Prints a piece of an answer, once all answers before it are printed; returns true to continue generating.
    ///
    /// - Parameter index: the answer's index, from 0.
    func text(_ question: String, _ text: String, index: Int = 0) -> Bool {
        guard live else {
            progress.clear()
            return true
        }
        guard index == count else {
            waiting[index, default: (question, "")].text += text
            return true
        }
        progress.clear()
        if !hasPrinted { introduce(question) }
        Console.result(Console.safe(text))
        hasPrinted = true
        return true
    }

    func finish(_ answer: Answer) {
        print(answer)
        if let next = waiting.removeValue(forKey: count) { _ = text(next.question, next.text, index: count) }
    }

    private func print(_ answer: Answer) {
        progress.clear()
        if answer.notes.contains(where: { $0.hasPrefix("partial:") }) { isPartial = true }
        switch layout.style {
        case .json where !layout.questions && !layout.recordings && !layout.segments: Console.json(answer)
        case .json: Console.jsonLine(answer)
        case .jsonl: Console.jsonLine(answer)
        case .csv:
            if count == 0 { Console.result(AnswerExport.csvHead) }
            Console.result(AnswerExport.rows(AnswerRecord(answer)))
        case .vtt:
            if count == 0 {
                Console.result(AnswerExport.vttHead + AnswerExport.vttNote(of: AnswerRecord(answer)))
            }
            Console.result(AnswerExport.vttCue(window: AnswerRecord(answer)))
        case .text: finishText(answer)
        }
        count += 1
        hasPrinted = false
    }

    private func finishText(_ answer: Answer) {
        if layout.segments { return finishWindow(answer) }
        guard !layout.recordings else {
            // The ranking comes at the end; until then, print each answer as progress.
            output.note("\(Console.name(answer.recording.path)): \(Console.name(answer.answer))")
            for note in answer.notes where note.hasPrefix("partial:") { tell(note, of: answer) }
            return
        }
        if !hasPrinted {
            introduce(answer.question)
            Console.result(Console.safe(answer.answer))
        }
        Console.line()
        if showsEvidence, answer.frames > 0 {
            Console.line(answer.evidence.isEmpty ? "not seen at a particular time" : Self.seen(answer.evidence))
            if Console.isOutputTerminal, let line = Sparkline.text(answer) { Console.line(line) }
        }
        report(answer)
    }

    /// Prints one line: the window, the question if there are several, and the answer.
    private func finishWindow(_ answer: Answer) {
        var line = layout.recordings ? Console.name(answer.recording.path) + " " : ""
        if let window = answer.segment, window.count == 2 {
            line += "\(TimeText.clock(window[0]))–\(TimeText.clock(window[1])) "
            if let days = answer.dayTimes { line += "(\(days)) " }
        }
        if layout.questions { line += Console.name(answer.question) + " " }
        line += Console.name(answer.answer)
        if showsEvidence, !answer.evidence.isEmpty { line += " (\(Self.seen(answer.evidence)))" }
        Console.line(line)
        // The notes are the same for every window.
        guard noted.insert(InputPath(answer.recording.path)).inserted else { return }
        for note in answer.notes { tell(note, of: answer) }
    }

    /// Prints a note with the file's name, unless the note is about the model.
    private func tell(_ note: String, of answer: Answer) {
        output.note(Self.line(note, of: answer, modelNotes: layout.modelNotes, isImage: layout.isImage))
    }

    static func line(
        _ note: String, of answer: Answer, modelNotes: [String], isImage: Bool = false
    ) -> String {
        let isOfFile = !isImage && !modelNotes.contains(note) && !answer.recording.path.isEmpty
        return "note: " + (isOfFile ? Console.name(answer.recording.path) + ": " : "") + Console.name(Hint.hinted(note))
    }

    static func seen(_ evidence: [Evidence]) -> String {
        "seen at "
            + evidence.map { one in
                "\(TimeText.clock(one.start))–\(TimeText.clock(one.end))" + (one.dayTimes.map { " (\($0))" } ?? "")
            }.joined(separator: ", ")
    }

    /// Prints the answers about all recordings, those that found something first.
    func ranking(_ ranking: AnswerRanking) {
        switch layout.style {
        case .json, .jsonl: Console.jsonLine(ranking)
        case .csv, .vtt: return
        case .text:
            if layout.questions { Console.line(Console.safe(ranking.question)) }
            for entry in ranking.recordings {
                let rank = entry.rank.map { "\($0)." } ?? "–"
                let text = Console.name(entry.answer)
                let what = entry.found ? text : "not found" + (Self.hasText(entry.answer) ? " (answer: \(text))" : "")
                let seen = showsEvidence && !entry.evidence.isEmpty ? "  \(Self.seen(entry.evidence))" : ""
                Console.line("\(rank) \(Console.name(entry.recording.path)): \(what)\(seen)")
            }
        }
    }

    private static func hasText(_ answer: String) -> Bool { !answer.isEmpty && !answer.hasPrefix("not found") }

    /// Reports a recording for which asking failed.
    func failed(_ path: InputPath, _ failure: Failure) {
        progress.clear()
        isPartial = true
        output.failed(failure, during: "ask", item: path.description)
    }

    /// Prints the question, if there are several answers.
    private func introduce(_ question: String) {
        if layout.questions { Console.result(Console.safe(question) + " ") }
    }

    private func report(_ answer: Answer) {
        for note in answer.notes { tell(note, of: answer) }
        guard answer.frames > 0 else { return }
        if let focus = answer.focus {
            let changed = focus.changed.map(\.rawValue).joined(separator: ", ")
            let what = changed.isEmpty ? "changed nothing" : "changed " + changed
            output.note("the second pass over \(counted(focus.frames.count, "frame")) \(what)")
        }
        for file in answer.thumbnails ?? [] { output.note("wrote \(Console.name(file))") }
        let timings = answer.timings
        var line = layout.isImage ? "1 image" : counted(answer.frames, "frame")
        if !layout.isImage, let first = answer.range.first, let last = answer.range.last {
            line += " at \(TimeText.clock(first)) to \(TimeText.clock(last))"
            if let days = answer.dayTimes { line += " (\(days))" }
        }
        if answer.fusion.frames == 0, answer.fusion.of > 0 {
            // The model fuses no text: LLaVA-v1.5.
        } else if answer.fusion.frames < answer.fusion.of {
            let error = answer.fusion.relativeStandardError.map(Format.short) ?? "unknown"
            line += ", fused with \(answer.fusion.frames) of them (relative standard error \(error))"
        } else if !layout.isImage {
            line += answer.frames == 1 ? ", fused with it" : ", fused with all of them"
        }
        output.note(line + " · " + answer.caution)
        var speed =
            "first token after \(Format.time(timings.firstToken)), \(counted(answer.tokenIDs.count, "token"))"
        if let each = timings.secondsPerToken { speed += ", \(Format.short(each)) s per token" }
        if let each = timings.secondsPerFrame { speed += "; indexed at \(Format.short(each)) s per frame" }
        output.note(speed + "; peak memory \(Format.bytes(Int64(timings.peakMemoryBytes)))")
    }
}
