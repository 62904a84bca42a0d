internal import Store

/// Asks a benchmark's questions about the videos of a folder: each video is indexed once, each question asked once.
///
/// Answers are appended to a file as they complete; a later run with the same model and options continues there.
package struct EvaluationRunner {
    /// A question with the key of its answer.
    private struct Item {
        let question: EvaluationQuestion
        let request: Question
        let key: String
    }

    private let evaluation: Evaluation
    private let finder: VideoFinder
    private let out: String
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let cancellation: Cancellation
    private let modelName: String
    private let items: [Item]

    /// - Parameters:
    ///   - videos: path of the folder of videos.
    ///   - out: path of the file that answers are appended to.
    ///   - analyzer: created if a question must be asked.
    ///   - settings: how questions are answered; its text and range are replaced.
    /// - Throws: `LongtakeError` `bad_request` if the folder does not exist.
    package init(
        _ evaluation: Evaluation, videos: String, out: String, analyzer: Deferred<Analyzer>, model: ModelIdentity,
        options: IndexOptions, settings: Question, cancellation: Cancellation = Cancellation()
    ) throws {
        self.evaluation = evaluation
        finder = try VideoFinder(videos)
        self.out = out
        self.analyzer = analyzer
        self.options = options
        self.cancellation = cancellation
        modelName = model.name
        let signature = IndexSettings(options, model).signature
        items = evaluation.questions.map { question in
            var request = settings
            (request.text, request.answerStart) = evaluation.benchmark.prompt(question)
            (request.id, request.from, request.to) = (question.id, question.from, question.to)
            // Everything that the answer depends on, but not where the files are.
            var parts: [String] = [signature, model.precision, request.text, request.answerStart]
            parts += ["\(request.maxTokens)", request.fusion.rawValue, "\(request.fusionFrames)", "\(request.focus)"]
            parts += [request.from, request.to].map { $0.map { "\($0)" } ?? "" }
            parts += question.video.names + question.video.folders
            let key = String(ContentHash.sha256(Array(parts.joined(separator: "\u{0}").utf8)).prefix(32))
            return Item(question: question, request: request, key: key)
        }
    }

    /// What a run would do; nothing is asked, indexed or written.
    ///
    /// - Parameter known: finds files whose index is up to date.
    /// - Throws: as `run`.
    package func plan(_ known: KnownFiles, event: (EvaluationEvent) -> Void) throws -> EvaluationSummary {
        var summary = EvaluationSummary(evaluation)
        let earlier = try PredictionsFile.read(out, Set(items.map(\.key)), cancellation: cancellation)
        for note in evaluation.notes + earlier.notes { event(.note(note)) }
        let videos = locate(earlier.responses, &summary, event)
        summary.videosIndexed = videos.count { known.unchanged($0.path) != nil }
        return summary
    }

    /// Asks what was not answered yet; `event` gets each step when it happens.
    ///
    /// - Throws: `Failure` if the answers cannot be written, the work was interrupted, or no video is there; an error
    ///   of one question is in the summary.
    package func run(
        event: (EvaluationEvent) -> Void
    ) throws -> (summary: EvaluationSummary, results: EvaluationResults) {
        var summary = EvaluationSummary(evaluation)
        var earlier = try PredictionsFile.read(out, Set(items.map(\.key)), cancellation: cancellation)
        for note in evaluation.notes + earlier.notes { event(.note(note)) }
        let videos = locate(earlier.responses, &summary, event)
        if videos.isEmpty, earlier.responses.isEmpty, let first = summary.videosMissing.first {
            throw Failure(
                code: "no_videos",
                message: "none of the \(counted(summary.videos, "video")) is in the folder, for example \(first)",
                exitCode: Exit.input)
        }
        if !videos.isEmpty {
            let file = try PredictionsFile(path: out)
            if !earlier.isWhole { try file.endLine() }
            for (path, items) in videos {
                try ask(items, about: path, file, &earlier.responses, &summary, event)
            }
        }
        let results = evaluation.results(items.map { earlier.responses[$0.key] })
        if evaluation.isScored { summary.score = results.score }
        return (summary, results)
    }

    /// The videos of the questions that have no answer yet, in the order in which they first occur.
    private func locate(
        _ responses: [String: String], _ summary: inout EvaluationSummary, _ event: (EvaluationEvent) -> Void
    ) -> [(path: InputPath, items: [Item])] {
        var (order, groups) = ([EvaluationQuestion.Video](), [EvaluationQuestion.Video: [Item]]())
        for item in items {
            guard responses[item.key] == nil else {
                summary.answeredBefore += 1
                continue
            }
            if groups[item.question.video] == nil { order.append(item.question.video) }
            groups[item.question.video, default: []].append(item)
        }
        var found: [(InputPath, [Item])] = []
        for video in order {
            let items = groups[video] ?? []
            switch finder.find(video) {
            case .file(let path): found.append((path, items))
            case .missing(let reason):
                let name = video.names.first ?? ""
                summary.questionsMissing += items.count
                summary.videosMissing.append(name)
                event(.missing(video: name, questions: items.count, reason: reason))
            }
        }
        return found
    }

    private func ask(
        _ items: [Item], about path: InputPath, _ file: PredictionsFile, _ responses: inout [String: String],
        _ summary: inout EvaluationSummary, _ event: (EvaluationEvent) -> Void
    ) throws {
        let name = items.first?.question.videoName ?? path.description
        let copies = Dictionary(items.map { ($0.key, 1) }, uniquingKeysWith: +)
        var groups = Self.grouped(items)
        while !groups.isEmpty {
            let group = groups.removeFirst()
            var answered = 0
            do {
                let analyzer = try analyzer.get()
                try analyzer.ask(
                    group.map(\.request), about: path, options: options,
                    indexing: { event(.indexing(video: name, $0)) }, progress: { event(.reading(video: name, $0)) },
                    onAnswer: { index, answer in
                        let item = group[index]
                        answered = index + 1
                        guard answer.stop != .noFramesInRange else {
                            summary.failed += copies[item.key] ?? 1
                            let note = answer.notes.last ?? "no frames in the range"
                            return event(
                                .failed(
                                    item.question,
                                    Failure(code: "no_frames", message: "\(path): \(note)", exitCode: Exit.input)))
                        }
                        try file.append(line(item, answer))
                        responses[item.key] = answer.answer
                        summary.answered += copies[item.key] ?? 1
                        event(.answered(result(item, answer.answer)))
                    })
                try cancellation.check()
            } catch {
                let failure = Failure(error, subject: path.description)
                // The next question would fail in the same way.
                guard ![Exit.space, Exit.interrupted, Exit.model].contains(failure.exitCode) else { throw failure }
                let left = group[answered...]
                if left.count > 1, [Exit.refused, Exit.usage].contains(failure.exitCode) {
                    // One of them does not fit or cannot be asked; the others are asked without it.
                    groups.insert(contentsOf: left.map { [$0] }, at: 0)
                    continue
                }
                for item in left {
                    summary.failed += copies[item.key] ?? 1
                    event(.failed(item.question, failure))
                }
            }
        }
    }

    private func result(_ item: Item, _ answer: String) -> EvaluationResult {
        let (benchmark, question) = (evaluation.benchmark, item.question)
        return EvaluationResult(
            question: question, answer: answer, choice: benchmark.choice(in: answer, of: question),
            isCorrect: question.isScored ? benchmark.isCorrect(answer, question) : nil)
    }

    private func line(_ item: Item, _ answer: Answer) -> PredictionsFile.Line {
        let result = result(item, answer.answer)
        let question = item.question
        return PredictionsFile.Line(
            key: item.key, format: evaluation.format.rawValue, id: question.id, video: question.videoName,
            path: answer.recording.path, question: question.text, prompt: item.request.text + item.request.answerStart,
            response: answer.answer, choice: result.letter,
            reference: question.isOpen
                ? question.reference : question.correct.map { String(EvaluationQuestion.letter($0)) },
            correct: result.isCorrect, frames: answer.frames, range: answer.range, model: modelName,
            time: answer.created)
    }

    /// Groups questions about the same range: asked together, they share most of the work. Equal ones are asked once.
    private static func grouped(_ items: [Item]) -> [[Item]] {
        var (groups, seen) = ([[Item]](), Set<String>())
        for item in items where seen.insert(item.key).inserted {
            let group = groups.firstIndex {
                $0[0].question.from == item.question.from && $0[0].question.to == item.question.to
            }
            if let group { groups[group].append(item) } else { groups.append([item]) }
        }
        return groups
    }
}
