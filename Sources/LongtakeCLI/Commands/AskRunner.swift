import Longtake

/// Asks the same questions about one or more recordings, and passes on each answer when it is complete.
struct AskRunner {
    let analyzer: Analyzer
    let library: Library
    let questions: [Question]
    let options: IndexOptions
    let segments: Double?
    let thumbnails: String?
    let selection: RecordingSelection
    let output: OutputOptions

    /// Asks about one recording; `onAnswer` gets a question's index and its answer.
    func ask(
        _ recording: Recording, _ printer: AnswerPrinter, name: String = "", onAnswer: (Int, Answer) throws -> Void
    ) throws {
        let progress = output.progress
        try analyzer.ask(
            questions, about: recording, options: options, every: segments,
            indexing: { progress.show(name + IndexReport.line($0)) },
            progress: { fraction in
                Interruption.endAtOnce()
                // Prompts are computed while earlier answers are generated, one of which may be on the line.
                guard !printer.hasPrinted else { return }
                progress.show(name + "reading the question and the frames: \(Int(saturating: fraction * 100)) %")
            },
            onText: { printer.text(questions[$0].text, $1, index: $0) },
            onAnswer: { index, answer in
                try onAnswer(index, addingThumbnails(to: answer, number: printer.count))
            })
    }

    /// Asks about several recordings: prints each answer as it completes, then ranks all of them.
    ///
    /// A recording that fails is reported, and the others continue.
    func rank(_ walker: InputWalker, _ printer: AnswerPrinter) throws {
        for (path, reason) in walker.unreadable {
            printer.failed(
                path, Failure(code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input))
        }
        guard !walker.files.isEmpty else { throw UsageError("no recording to ask about") }
        var answers = questions.map { _ in [Answer]() }
        var last: Failure?
        var (unknown, selected) = (0, 0)
        for (number, path) in walker.files.enumerated() {
            do {
                let recording = Recording(path)
                let verdict = try analyzer.verdict(on: recording, options: options, by: selection)
                if verdict == .unknownStart { unknown += 1 }
                guard verdict == .selected else { continue }
                selected += 1
                let name = "\(number + 1) of \(walker.files.count): \(path): "
                try ask(recording, printer, name: name) { index, answer in
                    answers[index].append(answer)
                    printer.finish(answer)
                }
            } catch {
                let failure = Failure(error, subject: path.description)
                guard failure.exitCode != Exit.interrupted, failure.exitCode != Exit.space else { throw failure }
                printer.failed(path, failure)
                last = failure
            }
        }
        for note in selection.notes(unknown: unknown, selected: selected) {
            output.note("note: \(Console.name(note))")
        }
        if let last, answers.allSatisfy(\.isEmpty) { throw last }
        // Windows are ordered by time, so there is nothing to rank.
        guard segments == nil else { return }
        for (question, given) in zip(questions, answers) {
            printer.ranking(AnswerRanking(question: question.text, given))
        }
    }

    private func addingThumbnails(to answer: Answer, number: Int) throws -> Answer {
        guard let thumbnails, let index = answer.recording.index, !answer.evidence.isEmpty else { return answer }
        let images = try RecordingImages(
            library: library, index: index, path: answer.recording.path, cancellation: Interruption.cancellation)
        let single = questions.count == 1 && segments == nil && number == 0
        let written = try images.thumbnails(
            of: answer.evidence, into: thumbnails, prefix: single ? "" : "answer-\(number + 1)-")
        return answer.adding(thumbnails: written.files, notes: written.notes)
    }
}
