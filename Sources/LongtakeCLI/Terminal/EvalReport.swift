import Longtake

/// Reports an evaluation's progress and results, as text or as JSON lines.
final class EvalReport {
    private let output: OutputOptions
    private let progress: Progress
    private let questions: Int
    private var done = 0

    init(_ output: OutputOptions, questions: Int) {
        self.output = output
        self.questions = questions
        progress = output.progress
    }

    private struct Answered: Encodable {
        let message_type = "answer"
        let id: String
        let video: String
        let response: String
        let choice: String?
        let correct: Bool?
    }

    private struct Missing: Encodable {
        let message_type = "missing"
        let video: String
        let questions: Int
        let reason: String
    }

    private struct Counts: Encodable {
        let message_type: String
        let summary: EvaluationSummary
        private enum Keys: String, CodingKey { case message_type }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(message_type, forKey: .message_type)
            try summary.encode(to: encoder)
        }
    }

    func show(_ event: EvaluationEvent) {
        switch event {
        case .indexing(let video, let step): progress.show("\(count)\(video): \(IndexReport.line(step))")
        case .reading(let video, let fraction):
            progress.show(
                "\(count)\(video): reading the questions and the frames: \(Int(saturating: fraction * 100)) %")
        case .answered(let result):
            done += 1
            StatusSignal.note("\(count)\(result.question.videoName)")
            guard output.json else { return }
            Console.jsonLine(
                Answered(
                    id: result.question.id, video: result.question.videoName, response: result.answer ?? "",
                    choice: result.letter, correct: result.isCorrect))
        case .failed(let question, let failure):
            done += 1
            progress.clear()
            output.failed(failure, during: "ask \(question.id)", item: question.videoName)
        case .missing(let video, let questions, let reason):
            done += questions
            progress.clear()
            guard !output.json else {
                return Console.jsonLine(Missing(video: video, questions: questions, reason: reason))
            }
            Console.warn("missing: \(video) (\(counted(questions, "question"))): \(reason)")
        case .note(let text):
            progress.clear()
            output.note("note: \(Console.name(text))")
        }
    }

    private var count: String { "\(done) of \(counted(questions, "question")); " }

    /// Prints what a run would do.
    func show(plan: EvaluationSummary) {
        progress.clear()
        if output.json { return Console.jsonLine(Counts(message_type: "plan", summary: plan)) }
        let left = plan.questions - plan.answeredBefore - plan.questionsMissing
        var line = "plan: \(counted(plan.questions, "question")) about \(counted(plan.videos, "video"))"
        line += ", \(plan.answeredBefore) answered before, \(left) to ask"
        if let indexed = plan.videosIndexed { line += "; \(counted(indexed, "video")) of these indexed before" }
        if !plan.videosMissing.isEmpty { line += "; \(missing(plan))" }
        Console.line(line)
    }

    func show(_ summary: EvaluationSummary, _ evaluation: Evaluation) {
        progress.clear()
        if output.json { return Console.jsonLine(Counts(message_type: "summary", summary: summary)) }
        var line =
            "\(evaluation.format.rawValue): \(summary.answered + summary.answeredBefore) of "
            + "\(counted(summary.questions, "question")) answered"
        if summary.answeredBefore > 0 { line += ", \(summary.answeredBefore) of them before" }
        if summary.failed > 0 { line += ", \(summary.failed) failed" }
        if !summary.videosMissing.isEmpty { line += "; \(missing(summary))" }
        Console.line(line)
        guard let score = summary.score else {
            return output.note("note: \(Self.unscored(evaluation))")
        }
        func row(_ name: String, _ correct: Int, _ counted: Int, _ percent: Double) -> [String] {
            [name, "\(correct)", "\(counted)", Format.number(percent, digits: 1)]
        }
        var rows: [[String]] = []
        var kind = ""
        for category in score.categories {
            if category.kind != kind { rows.append([category.kind, "correct", "answered", "percent"]) }
            kind = category.kind
            rows.append(
                row(Console.name(category.name), category.correct, category.counted, category.percent))
        }
        if rows.isEmpty { rows.append(["", "correct", "answered", "percent"]) }
        rows.append(row(score.averageName, score.correct, score.counted, score.average))
        Console.line(Format.table(rows))
        if score.unread > 0 {
            output.note("note: \(counted(score.unread, "answer")) without an option that could be read")
        }
    }

    private func missing(_ summary: EvaluationSummary) -> String {
        "\(counted(summary.videosMissing.count, "video")) missing (\(counted(summary.questionsMissing, "question")))"
    }

    private static func unscored(_ evaluation: Evaluation) -> String {
        evaluation.questions.allSatisfy(\.options.isEmpty)
            ? "open answers are scored by a language model, not by a rule: --predictions writes what its script reads"
            : "no reference answers, so no score: --predictions writes what the benchmark's server takes"
    }
}
