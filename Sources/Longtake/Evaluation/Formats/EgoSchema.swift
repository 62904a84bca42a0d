internal import Checkpoints

/// EgoSchema (arXiv 2308.09126): `questions.json`, and `subset_answers.json` with 500 of the answers.
///
/// The benchmark has no prompt for chat models; this one and the reading of answers are those of LLaVA-Mini's
/// evaluation.
struct EgoSchema: Benchmark {
    let maxTokens = 128
    private static let count = 5

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] {
        let name = try entry.videoName("q_uid")
        let options = try (0..<Self.count).map { try entry.text("option \($0)") }
        var question = EvaluationQuestion(
            id: name, text: try entry.text("question"), options: options, place: "\(entry.file):\(entry.line)",
            video: .init(names: [name], folders: ["videos"]))
        for key in ["answer", "correct_answer"] where entry.has(key) {
            guard let index = entry.members[key]?.intValue, options.indices.contains(index) else {
                throw entry.bad("`\(key)` must be the number of an option, 0 to 4")
            }
            (question.correct, question.reference) = (index, options[index])
        }
        return [question]
    }

    func add(_ answers: QuestionFile, to questions: [EvaluationQuestion]) throws -> [EvaluationQuestion] {
        guard let members = answers.object else {
            throw QuestionEntry.bad(answers.path, 1, "must be one object with an option's number per `q_uid`")
        }
        return try questions.map { question in
            guard let value = members[question.id] else { return question }
            guard let index = value.intValue, question.options.indices.contains(index) else {
                throw QuestionEntry.bad(answers.path, 1, "`\(question.id)` must be the number of an option, 0 to 4")
            }
            var question = question
            (question.correct, question.reference) = (index, question.options[index])
            return question
        }
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) {
        let options = question.options.enumerated().map { "\(EvaluationQuestion.letter($0)): \($1)\n" }.joined()
        return (
            "You are a helpful expert in first person view video analysis. Please provide a single-letter answer "
                + "(A, B, C, D, E) to the following multiple-choice question based on this video.\n\(question.text)\n"
                + "Choices:\n\(options)\nAnswer with one letter.", ""
        )
    }

    func choice(in answer: String, of question: EvaluationQuestion) -> Int? {
        Self.firstLetter(in: answer, of: question)
    }

    /// A table for the public leaderboard if the file's suffix is csv, else an object for the validation server.
    ///
    /// An answer without a letter is -1, as in LLaVA-Mini's evaluation.
    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        let rows = results.answered.map { ($0.question.id, $0.choice ?? -1) }
        guard !path.lowercased().hasSuffix(".csv") else {
            return "q_uid,answer\n" + rows.map { "\($0),\($1)\n" }.joined()
        }
        let members = rows.map { ($0, JSONValue.integer(Int64($1))) }
        return JSONValue.object(Dictionary(members) { first, _ in first }).text(indented: true) + "\n"
    }
}
