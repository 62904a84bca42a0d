/// A step of an evaluation.
package enum EvaluationEvent {
    /// A video is indexed.
    case indexing(video: String, IndexProgress)
    /// The prompt about a video is computed; the fraction done.
    case reading(video: String, Double)
    /// A question was answered.
    case answered(EvaluationResult)
    /// A question could not be answered.
    case failed(EvaluationQuestion, Failure)
    /// A video that questions are about is not there.
    case missing(video: String, questions: Int, reason: String)
    /// A remark.
    case note(String)
}

/// The counts of an evaluation.
package struct EvaluationSummary: Sendable, Encodable {
    /// The benchmark.
    package let format: String
    /// Questions in the files, or the first ones of them.
    package internal(set) var questions = 0
    /// Videos that they are about.
    package internal(set) var videos = 0
    /// Questions answered by this run.
    package internal(set) var answered = 0
    /// Questions that an earlier run had answered.
    package internal(set) var answeredBefore = 0
    /// Questions that could not be answered, other than those of missing videos.
    package internal(set) var failed = 0
    /// Questions about missing videos.
    package internal(set) var questionsMissing = 0
    /// The names of videos that are not there.
    package internal(set) var videosMissing: [String] = []
    /// Videos whose index exists already; only in a plan.
    package internal(set) var videosIndexed: Int?
    /// The score; nil if there is nothing to score.
    package internal(set) var score: EvaluationScore?

    /// True if a question has no answer.
    package var isPartial: Bool { failed > 0 || questionsMissing > 0 }

    private enum CodingKeys: String, CodingKey {
        case format, questions, videos, answered, failed, score
        case answeredBefore = "answered_before"
        case questionsMissing = "questions_missing"
        case videosMissing = "videos_missing"
        case videosIndexed = "videos_indexed"
    }

    init(_ evaluation: Evaluation) {
        format = evaluation.format.rawValue
        questions = evaluation.questions.count
        videos = Set(evaluation.questions.map(\.video)).count
    }
}
