internal import Foundation
internal import Store

/// Asks a pipeline's questions about one recording after the other, and hands the answers to the outputs.
final class PipelineAsker {
    let file: PipelineFile
    private let library: Library
    private let analyzer: Deferred<Analyzer>
    let searchModel: PipelineSearchModel?
    private let writer: AnswerWriter
    private let end: ContinuousClock.Instant?
    private let cancellation: Cancellation
    /// What of the recording is new; nil if no question is for what is new.
    private var coverage: PipelineCoverage?
    /// Keys of the answers that were given before, and of the questions that are done.
    var answered: Set<String> = []
    /// Times of searching; those of answering are the analyzer's.
    let times = WorkTimes()
    private var ignoresTime = false
    private var answersBefore = 0
    /// True if the run's time was over before all questions were asked.
    var leftQuestions = false
    /// What other machines have answered.
    var elsewhere = ResultsElsewhere()

    /// One question about one window, or about its whole range.
    struct Item {
        let question: PipelineQuestion
        let window: [Double]?
        /// The range in seconds on the file's timeline: the window, or the question's as far as it is new.
        let from: Double?
        let to: Double?
        let key: String
    }

    /// What a condition is decided by.
    struct Given {
        let text: String
        let found: Bool
        /// The value of a number or a time.
        let number: Double?
        /// The score of a search, or of the strongest evidence.
        let score: Double?
    }

    init(
        _ file: PipelineFile, library: Library, analyzer: Deferred<Analyzer>, searchModel: PipelineSearchModel?,
        writer: AnswerWriter, end: ContinuousClock.Instant?, cancellation: Cancellation
    ) {
        self.file = file
        self.library = library
        self.analyzer = analyzer
        self.searchModel = searchModel
        self.writer = writer
        self.end = end
        self.cancellation = cancellation
    }

    /// Whether all questions about a recording were asked before.
    func isDone(_ recording: IndexedRecording) -> Bool {
        file.clock.selection.verdict(on: recording) != .selected
            || file.questions.allSatisfy { answered.contains($0.key(recording)) }
    }

    /// Asks what was not asked before.
    ///
    /// - Parameter isFresh: true if the recording was indexed just now: its first questions are asked even if the run's
    ///   time is over, so that every run answers what it indexes.
    /// - Throws: errors that would stop the other recordings too; that of one question is in the summary.
    func ask(
        about recording: IndexedRecording, path: InputPath, isFresh: Bool, _ summary: inout BatchSummary,
        _ event: (BatchEvent) -> Void
    ) throws {
        switch file.clock.selection.verdict(on: recording) {
        case .selected: break
        case .otherCamera, .otherTime: return
        case .unknownStart:
            event(.note("\(recording.path): not asked about, since it is not known when it started"))
            return
        }
        answersBefore = summary.answers
        let taken = try take(elsewhere.answers(path), about: recording, path, &summary, event)
        let open = file.questions.filter { question in
            let key = question.key(recording)
            guard answered.contains(key) else { return true }
            if !taken.contains(key) { summary.answersUnchanged += 1 }
            return false
        }
        let isUnfinished = writer.unfinished.contains(recording.index)
        guard !open.isEmpty || isUnfinished || summary.answers > answersBefore else { return }
        ignoresTime = isFresh
        let values = PathTemplate.Values(path: path, id: recording.id, camera: recording.camera)
        do {
            let forNew = (isUnfinished ? file.questions : open).filter(\.isForNew)
            let failed = try findCoverage(recording, path, forNew, &summary, event)
            try askOpen(open.filter { !failed.contains($0.id) }, failed, recording, values, &summary, event)
            try writer.flush()
        } catch {
            // What was answered is kept; a second error would hide the first.
            try? writer.flush()
            throw error
        }
        guard summary.answers > answersBefore || isUnfinished else { return }
        try writeDocuments(of: recording, values, &summary, event)
    }

    /// Takes answers that were given elsewhere as if they were given now; returns their keys.
    private func take(
        _ rows: [Catalog.RunAnswerRow], about recording: IndexedRecording, _ path: InputPath,
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void
    ) throws -> Set<String> {
        let values = PathTemplate.Values(path: path, id: recording.id, camera: recording.camera)
        var taken: Set<String> = []
        for var row in rows where !answered.contains(row.key) {
            let text = row.line
            // Answers are told apart by the run that brings them into the outputs.
            row.line = text.replacingOccurrences(
                of: "\"run_id\":\"\(row.run)\"", with: "\"run_id\":\"\(summary.runID)\"")
            (row.pipeline, row.run, row.output) = (file.identity, summary.runID, nil)
            try writer.add(row, values)
            answered.insert(row.key)
            taken.insert(row.key)
            guard let record = try? JSONDecoder().decode(AnswerRecord.self, from: Data(text.utf8)) else { continue }
            summary.answers += 1
            event(.answered(path: recording.path, questionID: row.questionID, answer: record.answer))
        }
        return taken
    }

    /// Writes the documents and clips of a recording.
    private func writeDocuments(
        of recording: IndexedRecording, _ values: PathTemplate.Values, _ summary: inout BatchSummary,
        _ event: (BatchEvent) -> Void
    ) throws {
        let item = try? library.recording(index: recording.index)
        var failures: [Failure] = []
        do {
            try writer.writeDocuments(
                of: recording, values, name: item?.name ?? recording.path, end: item?.end ?? recording.duration,
                earlier: coverage?.earlier ?? [], forNew: Set(file.questions.filter(\.isForNew).map(\.id)))
        } catch let error as LongtakeError {
            failures.append(Failure(error))
        }
        if let item {
            failures += try writer.writeClips(of: item, values, in: library) { event(.note($0)) }
        }
        for failure in failures {
            summary.answersFailed += 1
            event(.answerFailed(path: recording.path, questionID: "outputs", failure))
        }
        // A document that cannot be written is said once, not every night.
        try writer.setDocumentsWritten(of: recording.index)
    }

    /// Finds out what is new to some questions; returns the IDs of those that cannot be asked.
    private func findCoverage(
        _ recording: IndexedRecording, _ path: InputPath, _ questions: [PipelineQuestion],
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void
    ) throws -> Set<String> {
        coverage = nil
        var failed: Set<String> = []
        guard !questions.isEmpty else { return failed }
        do {
            coverage = try PipelineCoverage(
                recording, path: path, pipeline: file.identity, library: library, cancellation: cancellation)
        } catch {
            let failure = Failure(error, subject: recording.path)
            if failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
            fail(questions[...], recording, failure, &failed, &summary, event)
        }
        return failed
    }

    private func askOpen(
        _ open: [PipelineQuestion], _ unasked: Set<String>, _ recording: IndexedRecording,
        _ values: PathTemplate.Values,
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void
    ) throws {
        var given: [String: Given]?
        var failed = unasked
        // A condition may name a question that has a condition itself, so they are decided one after the other.
        var waiting = open[...]
        while let first = waiting.first {
            let together = first.condition == nil ? waiting.prefix { $0.condition == nil } : waiting.prefix(1)
            waiting = waiting.dropFirst(together.count)
            let items: [Item]
            do {
                items = try together.flatMap { try self.items(of: $0, recording) }
            } catch let error as LongtakeError where error.code == .badRequest {
                fail(together, recording, Failure(error, subject: recording.path), &failed, &summary, event)
                continue
            }
            var wanted = items.filter { !answered.contains($0.key) }
            if let condition = first.condition, let subject = condition.subject {
                let known = try given ?? givenAnswers(recording)
                given = known
                if failed.contains(subject) {
                    failed.insert(first.id)
                    continue
                }
                wanted = wanted.filter { item in
                    let base = file.questions.first { $0.id == subject }
                    let key = base.map { $0.key(recording, window: $0.window == nil ? nil : item.window) }
                    // Nothing was asked for a condition that was not met, and nothing follows from it.
                    guard let answer = key.flatMap({ known[$0] }) else { return false }
                    return condition.holds(
                        answer: answer.text, found: answer.found, number: answer.number, score: answer.score)
                }
            }
            try search(wanted.filter { $0.question.search != nil }, recording, values, &failed, &summary, event) {
                given?[$0] = $1
            }
            guard !leftQuestions else { return }
            try ask(wanted.filter { $0.question.search == nil }, recording, values, &failed, &summary, event) {
                given?[$0] = $1
            }
            guard !leftQuestions else { return }
            // Windows have keys of their own, and a condition may leave a question without an answer.
            for question in together where !failed.contains(question.id) {
                let key = question.key(recording)
                guard answered.insert(key).inserted else { continue }
                try writer.add(
                    row(key, question, recording, summary, line: ""), values, covered: covered(by: question))
            }
        }
    }

    /// What is covered once a question for what is new is done; nil for the others.
    private func covered(by question: PipelineQuestion) -> Catalog.CoverageRow? {
        question.isForNew ? coverage?.row(question) : nil
    }

    /// What is covered once an answer is given; with windows only after the last one.
    private func covered(by item: Item) -> Catalog.CoverageRow? {
        item.window == nil ? covered(by: item.question) : nil
    }

    /// The question as it is asked: about the pipeline's window.
    private func request(_ question: PipelineQuestion) -> Question {
        var request = question.request
        request.selection = file.clock.selection
        return request
    }

    private func items(of question: PipelineQuestion, _ recording: IndexedRecording) throws -> [Item] {
        let start = question.isForNew ? coverage?.start(of: question) : nil
        if let start, let coverage, !coverage.isLater(min(coverage.end, question.to ?? .infinity), than: start) {
            return []
        }
        guard let length = question.window else {
            let from = [question.from, start].compactMap(\.self).max()
            return [
                Item(question: question, window: nil, from: from, to: question.to, key: question.key(recording))
            ]
        }
        return try analyzer.get().windows(
            of: recording, every: length, from: question.from, to: question.to, in: file.clock.selection
        ).filter { window in
            // A last window that was incomplete is asked about again, from its start.
            start.map { coverage?.isLater(window[1], than: $0) != false } ?? true
        }.map {
            Item(
                question: question, window: $0, from: $0[0], to: $0[1], key: question.key(recording, window: $0))
        }
    }

    /// The answers about a recording that were given before, by key.
    private func givenAnswers(_ recording: IndexedRecording) throws -> [String: Given] {
        try writer.flush()
        let decoder = JSONDecoder()
        var given: [String: Given] = [:]
        for row in try library.catalog.answers(pipeline: file.identity, indexID: recording.index) {
            guard let record = try? decoder.decode(AnswerRecord.self, from: Data(row.line.utf8)) else { continue }
            given[row.key] = Given(
                text: record.answer, found: record.found, number: record.value?.number, score: record.bestScore)
        }
        return given
    }

    /// Whether no more questions are asked.
    func isOutOfTime(_ summary: BatchSummary) -> Bool {
        if summary.answers - answersBefore >= 8 { ignoresTime = false }
        return end.map { ContinuousClock.now >= $0 } == true && summary.hasWorked && !ignoresTime
    }

    private func ask(
        _ items: [Item], _ recording: IndexedRecording, _ values: PathTemplate.Values, _ failed: inout Set<String>,
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void, given: (String, Given) -> Void
    ) throws {
        var groups = Self.grouped(items)
        while !groups.isEmpty {
            if isOutOfTime(summary) {
                leftQuestions = true
                return
            }
            // Windows of one length are generated together; a limited run looks at the clock between them.
            let count = min(groups.count, end == nil ? 64 : 8)
            let part = Array(groups.prefix(count))
            groups.removeFirst(count)
            var done: Set<String> = []
            do {
                let ranges = part.map { group in
                    RangeQuestions(
                        group.map { request($0.question) }, from: group[0].from, to: group[0].to,
                        segment: group[0].window)
                }
                try analyzer.get().ask(ranges, index: recording) { range, question, answer in
                    let item = part[range][question]
                    done.insert(item.key)
                    let line = AnswerLine(
                        key: item.key, run: summary.runID, time: Date().formatted(.iso8601),
                        questionID: item.question.id, answer: answer)
                    let result = Given(
                        text: answer.answer, found: answer.found, number: answer.value?.number,
                        score: answer.evidence.first?.score)
                    try keep(result, JSONText.line(line), item, recording, values, &summary, event, given: given)
                }
            } catch {
                let failure = Failure(error, subject: recording.path)
                if failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
                let left = part.flatMap(\.self).filter { !done.contains($0.key) }
                if left.count > 1 {
                    // One of them does not fit or cannot be answered; the others are asked without it.
                    for item in left where !leftQuestions {
                        try ask([item], recording, values, &failed, &summary, event, given: given)
                    }
                    if leftQuestions { return }
                } else {
                    fail(left.map(\.question)[...], recording, failure, &failed, &summary, event)
                }
            }
        }
    }

    /// Hands an answer to the outputs, and takes down that it was given.
    func keep(
        _ answer: Given, _ line: String, _ item: Item, _ recording: IndexedRecording, _ values: PathTemplate.Values,
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void, given: (String, Given) -> Void
    ) throws {
        try writer.add(
            row(item.key, item.question, recording, summary, line: line), values, covered: covered(by: item))
        answered.insert(item.key)
        summary.answers += 1
        given(item.key, answer)
        event(.answered(path: recording.path, questionID: item.question.id, answer: answer.text))
    }

    func fail(
        _ questions: ArraySlice<PipelineQuestion>, _ recording: IndexedRecording, _ failure: Failure,
        _ failed: inout Set<String>, _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void
    ) {
        for question in questions {
            failed.insert(question.id)
            summary.answersFailed += 1
            event(.answerFailed(path: recording.path, questionID: question.id, failure))
        }
    }

    private func row(
        _ key: String, _ question: PipelineQuestion, _ recording: IndexedRecording, _ summary: BatchSummary,
        line: String
    ) -> Catalog.RunAnswerRow {
        Catalog.RunAnswerRow(
            pipeline: file.identity, key: key, run: summary.runID, indexID: recording.index, questionID: question.id,
            line: line, output: nil)
    }

    /// Groups questions about the same range: asked together, they share most of the work.
    private static func grouped(_ items: [Item]) -> [[Item]] {
        var groups: [[Item]] = []
        for item in items {
            let group = groups.firstIndex {
                let (other, question) = ($0[0].question, item.question)
                return $0[0].window == item.window && $0[0].from == item.from && $0[0].to == item.to
                    && other.request.fusion == question.request.fusion
                    && other.settings.fusionFrames == question.settings.fusionFrames
                    && other.settings.fusionError == question.settings.fusionError
            }
            if let group {
                groups[group].append(item)
            } else {
                groups.append([item])
            }
        }
        return groups
    }
}
