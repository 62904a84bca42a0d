internal import Foundation
internal import Glibc
internal import Store

/// Runs a pipeline: indexes new recordings, asks each question about each recording and appends the answers.
package struct PipelineRunner {
    private let file: PipelineFile
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let known: ([InputPath]) throws -> [InputPath: IndexedRecording]
    private let cancellation: Cancellation

    /// A run with an existing analyzer.
    ///
    /// - Parameter options: include the file's own settings (`options(of:)`). After their deadline no segment is begun
    ///   and no question asked, except for the first of a run.
    package init(
        _ file: PipelineFile, analyzer: Analyzer, options: IndexOptions, cancellation: Cancellation = Cancellation()
    ) {
        self.init(file, analyzer: Deferred { analyzer }, options: options, cancellation: cancellation) { _ in [:] }
    }

    /// A run that loads its model only if needed.
    ///
    /// - Parameters:
    ///   - analyzer: created for the first recording that must be indexed or asked about.
    ///   - known: returns the files whose index is up to date.
    package init(
        _ file: PipelineFile, analyzer: Deferred<Analyzer>, options: IndexOptions,
        cancellation: Cancellation = Cancellation(),
        known: @escaping ([InputPath]) throws -> [InputPath: IndexedRecording]
    ) {
        self.cancellation = cancellation
        self.file = file
        self.analyzer = analyzer
        self.options = options
        self.known = known
    }

    /// The options of a pipeline whose settings are not overridden.
    package static func options(of file: PipelineFile) -> IndexOptions {
        var options = IndexOptions()
        options.framesPerSecond = file.framesPerSecond ?? options.framesPerSecond
        options.stream = file.stream
        options.reuse = file.reuse ?? options.reuse
        options.minimumAge = file.minimumAge ?? options.minimumAge
        return options
    }

    /// One line of the output: the answer's own keys and these.
    private struct Line: Encodable {
        let key: String
        let run: String
        let time: String
        let questionID: String
        let answer: Answer

        private enum CodingKeys: String, CodingKey {
            case key, time
            case run = "run_id"
            case questionID = "question_id"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(key, forKey: .key)
            try container.encode(run, forKey: .run)
            try container.encode(time, forKey: .time)
            try container.encode(questionID, forKey: .questionID)
            try answer.encode(to: encoder)
        }
    }

    /// Indexes and asks; `event` gets each step when it happens.
    ///
    /// - Parameter walker: the recordings; nil: the file's own inputs.
    /// - Throws: `Failure` if the output cannot be written or no file can be indexed any more; an error of one
    ///   recording is in the summary.
    package func run(_ walker: InputWalker? = nil, event: (BatchEvent) -> Void) throws -> BatchSummary {
        let start = ContinuousClock.now
        var summary = BatchSummary()
        // Opened first, so that an unusable output is reported before hours of indexing.
        let output = file.questions.isEmpty ? nil : try file.output.map { try AnswersFile(path: $0) }
        let walker = walker ?? InputWalker(file.inputs.map { InputPath($0) }, recursive: file.recursive)
        for (path, reason) in walker.unreadable {
            summary.filesFailed += 1
            let failure = Failure(code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input)
            event(.failed(path: path.description, failure))
        }
        let recordings = try BatchIndexer(
            analyzer, options: options, known: known(walker.files)
        ).run(walker.files, summary: &summary, event: event)
        if let output, summary.stopped == nil {
            try ask(recordings, output: output, &summary, event)
        }
        summary.finish(seconds: (ContinuousClock.now - start).seconds)
        return summary
    }

    private func ask(
        _ recordings: [IndexedRecording], output: AnswersFile, _ summary: inout BatchSummary,
        _ event: (BatchEvent) -> Void
    ) throws {
        let wanted = recordings.flatMap { recording in file.questions.map { Self.key(recording, $0) } }
        let contents = try output.contents(Set(wanted), cancellation: cancellation)
        for note in contents.notes { event(.note(note)) }
        var known = contents.keys
        for recording in recordings {
            let unanswered = file.questions.filter { question in
                guard known.contains(Self.key(recording, question)) else { return true }
                summary.answersUnchanged += 1
                return false
            }
            var groups = Self.grouped(unanswered)
            while !groups.isEmpty {
                let group = groups.removeFirst()
                if options.isOver, summary.hasWorked { return summary.stop(left: 0) }
                var answered = 0
                let analyzer = try analyzer.get()
                do {
                    try analyzer.ask(group.map(\.request), index: recording) { index, answer in
                        let key = Self.key(recording, group[index])
                        try output.append(
                            Line(
                                key: key, run: summary.runID, time: Date().formatted(.iso8601),
                                questionID: group[index].id, answer: answer))
                        known.insert(key)
                        summary.answers += 1
                        answered = index + 1
                        event(.answered(answer, questionID: group[index].id))
                    }
                } catch {
                    let failure = Failure(error, subject: recording.path)
                    if failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
                    let left = group[answered...]
                    if left.count > 1 {
                        // One of them does not fit or cannot be answered; the others are asked without it.
                        groups.insert(contentsOf: left.map { [$0] }, at: 0)
                        continue
                    }
                    for question in left {
                        summary.answersFailed += 1
                        event(.answerFailed(path: recording.path, questionID: question.id, failure))
                    }
                }
            }
        }
    }

    /// Groups questions about the same range: asked together, they share most of the work.
    private static func grouped(_ questions: [PipelineQuestion]) -> [[PipelineQuestion]] {
        var groups: [[PipelineQuestion]] = []
        for question in questions {
            let group = groups.firstIndex {
                $0[0].from == question.from && $0[0].to == question.to
                    && $0[0].request.fusion == question.request.fusion
            }
            if let group {
                groups[group].append(question)
            } else {
                groups.append([question])
            }
        }
        return groups
    }

    /// Identifies an answer by everything it depends on: the index and the question as asked.
    private static func key(_ recording: IndexedRecording, _ question: PipelineQuestion) -> String {
        let parts =
            [
                recording.index, "\(recording.frames)", recording.state.rawValue, question.id, question.text,
                question.from.map { "\($0)" } ?? "", question.to.map { "\($0)" } ?? "",
                question.maxTokens.map { "\($0)" } ?? "",
            ] + (question.fusion.map { [$0.rawValue] } ?? []) + (question.form.map { ["answer " + $0.key] } ?? [])
        return String(ContentHash.sha256(Array(parts.joined(separator: "\u{0}").utf8)).prefix(32))
    }
}
