/// A benchmark with the prompt of LLaVA-Mini's evaluation: the question, its options, "Answer with one letter.".
struct LetterPrompt: Benchmark {
    let benchmark: any Benchmark

    var maxTokens: Int { benchmark.maxTokens }
    var averageName: String { benchmark.averageName }
    var skipsUnread: Bool { benchmark.skipsUnread }
    var averagesCategories: Bool { benchmark.averagesCategories }

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] { try benchmark.questions(of: entry) }

    func add(_ answers: QuestionFile, to questions: [EvaluationQuestion]) throws -> [EvaluationQuestion] {
        try benchmark.add(answers, to: questions)
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) {
        guard !question.isOpen else { return benchmark.prompt(question) }
        let isLettered = question.options.enumerated().allSatisfy {
            $1.hasPrefix("\(EvaluationQuestion.letter($0)).")
        }
        let options =
            isLettered
            ? "Question: \(question.text)\nOptions:\n" + question.options.joined(separator: "\n")
            : Self.listed(question)
        return (options + "\nAnswer with one letter.", "")
    }

    func choice(in answer: String, of question: EvaluationQuestion) -> Int? {
        question.isOpen ? nil : Self.firstLetter(in: answer, of: question)
    }

    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        try benchmark.predictions(results, path: path)
    }
}
