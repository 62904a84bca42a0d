internal import Checkpoints

/// Open-ended questions: MSVD-QA, MSRVTT-QA and ActivityNet-QA.
///
/// Either `test_q.json` with the answers in `test_a.json`, the form of Video-ChatGPT's evaluation, or the data sets'
/// own `test_qa.json`. The question is the prompt. A language model judges the answers, so there is no score here.
struct VideoQA: Benchmark {
    let maxTokens = 1024

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] {
        var names: [String]
        if entry.has("video_name") || !entry.has("video_id") {
            let name = try entry.videoName("video_name")
            // ActivityNet's files begin with v_, its questions do not.
            names = [name, "v_" + name]
        } else {
            let name = try entry.videoName("video_id")
            names = [name, "video" + name, "vid" + name]
        }
        return [
            EvaluationQuestion(
                id: try entry.has("question_id") || !entry.has("id") ? entry.text("question_id") : entry.text("id"),
                text: try entry.text("question"), options: [], place: "\(entry.file):\(entry.line)",
                video: .init(names: names), reference: try entry.optionalText("answer"))
        ]
    }

    func add(_ answers: QuestionFile, to questions: [EvaluationQuestion]) throws -> [EvaluationQuestion] {
        let entries = try answers.entries()
        var byID: [String: String] = [:]
        for entry in entries {
            guard let id = try entry.optionalText("question_id") ?? entry.optionalText("id") else { break }
            byID[id] = try entry.text("answer")
        }
        // Without IDs the lines of both files belong together.
        guard byID.isEmpty else {
            return try questions.map { question in
                guard let answer = byID[question.id] else {
                    throw LongtakeError(
                        code: .badQuestions,
                        message:
                            "\(answers.path): no answer to \(question.id) (\(question.place)); are both of the same set?"
                    )
                }
                return Self.adding(answer, to: question)
            }
        }
        guard entries.count == questions.count else {
            throw LongtakeError(
                code: .badQuestions,
                message:
                    "\(answers.path): \(counted(entries.count, "answer")) for \(counted(questions.count, "question"))")
        }
        return try zip(questions, entries).map { Self.adding(try $1.text("answer"), to: $0) }
    }

    private static func adding(_ answer: String, to question: EvaluationQuestion) -> EvaluationQuestion {
        var question = question
        question.reference = answer
        return question
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) { (question.text, "") }

    func choice(in answer: String, of question: EvaluationQuestion) -> Int? { nil }

    /// JSON lines for the judge of Video-LLaVA and LLaVA-Mini; with the suffix json an array for Video-ChatGPT's.
    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        let answered = results.answered
        if let question = answered.first(where: { $0.question.reference == nil })?.question {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "\(question.place): no reference answer, which the judge compares with; give the file of answers")
        }
        let isArray = path.lowercased().hasSuffix(".json")
        let entries = answered.map { result -> JSONValue in
            let (text, reference) = (JSONValue.string(result.question.text), result.question.reference ?? "")
            let answer = JSONValue.string(result.answer ?? "")
            return isArray
                ? .object([
                    "video_name": .string(result.question.videoName), "Q": text, "A": .string(reference),
                    "pred": answer,
                ])
                : .object([
                    "id": .string(result.question.id), "question": text, "answer": .string(reference), "pred": answer,
                ])
        }
        return isArray
            ? JSONValue.array(entries).text(indented: true) + "\n" : entries.map { $0.text() + "\n" }.joined()
    }
}
