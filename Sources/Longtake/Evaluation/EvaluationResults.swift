/// A question with the model's answer.
package struct EvaluationResult: Sendable {
    /// The question.
    package let question: EvaluationQuestion
    /// The model's text; nil if it was not answered.
    package let answer: String?
    /// Index of the chosen option; nil for an open question, or if the answer chooses none.
    package let choice: Int?
    /// Whether the answer is right; nil if it is not scored.
    package let isCorrect: Bool?

    /// The letter of the chosen option.
    package var letter: String? { choice.map { String(EvaluationQuestion.letter($0)) } }
}

/// All questions of a run with their answers, and the score.
package struct EvaluationResults: Sendable {
    /// In the order of the files.
    package let all: [EvaluationResult]
    /// The score; without any scored answer its counts are 0.
    package let score: EvaluationScore

    /// Those that were answered.
    var answered: [EvaluationResult] { all.filter { $0.answer != nil } }
}
