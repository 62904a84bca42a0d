internal import Checkpoints

/// A benchmark: how its files are read, its questions asked, its answers read and scored, its predictions written.
protocol Benchmark: Sendable {
    /// Most tokens of an answer, as in the benchmark's own code.
    var maxTokens: Int { get }
    /// The average's name in the table.
    var averageName: String { get }
    /// True if an answer without a letter does not count at all.
    var skipsUnread: Bool { get }
    /// True if the average is the mean over the categories, not over the questions.
    var averagesCategories: Bool { get }

    /// The questions of one entry.
    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion]
    /// Adds reference answers from a file of their own; `total` questions were read from all files.
    func add(_ answers: QuestionFile, to questions: [EvaluationQuestion]) throws -> [EvaluationQuestion]
    /// The prompt and the beginning of the answer, which the model continues.
    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String)
    /// The index of the option that an answer chooses; nil if it chooses none.
    func choice(in answer: String, of question: EvaluationQuestion) -> Int?
    /// Whether an answer is right.
    func isCorrect(_ answer: String, _ question: EvaluationQuestion) -> Bool
    /// The file of predictions in the benchmark's own form.
    ///
    /// - Parameter path: its name, whose suffix chooses between forms.
    func predictions(_ results: EvaluationResults, path: String) throws -> String
}

extension Benchmark {
    var averageName: String { "all" }
    var skipsUnread: Bool { false }
    var averagesCategories: Bool { false }

    func add(_ answers: QuestionFile, to questions: [EvaluationQuestion]) throws -> [EvaluationQuestion] {
        throw LongtakeError(
            code: .badRequest, message: "\(answers.path): the questions of this benchmark have their answers with them")
    }

    func isCorrect(_ answer: String, _ question: EvaluationQuestion) -> Bool {
        choice(in: answer, of: question).map { $0 == question.correct } ?? false
    }

    /// The first letter of an option in a text.
    static func firstLetter(in text: String, of question: EvaluationQuestion) -> Int? {
        text.lazy.compactMap { question.index(of: $0) }.first
    }

    /// "Question: …", "Options:" and a line "(A) …" per option: the form of MVBench and MLVU.
    static func listed(_ question: EvaluationQuestion) -> String {
        let options = question.options.enumerated().map { "(\(EvaluationQuestion.letter($0))) \($1)" }
        return "Question: \(question.text)\nOptions:\n" + options.joined(separator: "\n")
    }

    /// Scores by category and all results, as MVBench and MLVU save them.
    static func saved(_ results: EvaluationResults, _ fields: (EvaluationResult) -> [String: JSONValue]) -> String {
        let counts = results.score.categories.map { category in
            (category.name, JSONValue.array([.integer(Int64(category.correct)), .integer(Int64(category.counted))]))
        }
        return JSONValue.object([
            "acc_dict": .object(Dictionary(counts) { first, _ in first }),
            "res_list": .array(results.answered.map { .object(fields($0)) }),
        ]).text(indented: true) + "\n"
    }

    /// The reference as MVBench and MLVU write it: "(A) text".
    static func reference(_ question: EvaluationQuestion) -> String {
        // Their code has '@', the character before 'A', for an answer that is not among the options.
        let letter = question.correct.map { String(EvaluationQuestion.letter($0)) } ?? "@"
        return "(\(letter)) \(question.reference ?? "")"
    }
}

extension String {
    /// Without white space at both ends.
    var trimmingSpaces: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
