internal import Checkpoints

/// MLVU (arXiv 2406.04264): files of one task each, or the test set's one file with `question_id` and without answers.
///
/// The prompt and the reading of answers are those of `choice_bench.py`, its system text at the start of the question:
/// a model keeps the system text it was trained with. Generation tasks (sub-scene captioning, summaries) have no
/// options; a language model scores them.
struct MLVU: Benchmark {
    let maxTokens = 1024
    let averageName = "M-Avg"
    let averagesCategories = true

    private static let choiceSystem =
        "Carefully watch this video and pay attention to every detail. Based on your observations, select the best "
        + "option that accurately addresses the question."
    private static let openSystem =
        "Carefully watch this video and pay attention to every detail. Based on your observations, answer the given "
        + "questions."
    private static let openTasks: Set = ["subPlot", "summary"]

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] {
        let (name, task) = (try entry.videoName("video"), try entry.text("question_type"))
        let options = Self.openTasks.contains(task) && !entry.has("candidates") ? [] : try entry.options("candidates")
        let reference = try entry.optionalText("answer")
        if options.isEmpty, reference == nil { throw entry.missing("answer") }
        return [
            EvaluationQuestion(
                id: try entry.optionalText("question_id") ?? "\(entry.fileStem)-\(entry.number)",
                text: try entry.text("question"), options: options, place: "\(entry.file):\(entry.line)",
                video: .init(names: [name], folders: [entry.fileStem, "video/\(entry.fileStem)"]),
                reference: reference, correct: reference.flatMap { options.lastIndex(of: $0) },
                categories: [.init(kind: "task", name: task)],
                fields: entry.members.filter { ["question_id", "question_type"].contains($0.key) })
        ]
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) {
        question.isOpen
            ? (Self.openSystem + "\n" + question.text, "")
            : (Self.choiceSystem + "\n" + Self.listed(question) + "\nOnly give the best option.", "Best Option: (")
    }

    /// The character before the first ")", else the whole answer, must be the letter.
    func choice(in answer: String, of question: EvaluationQuestion) -> Int? {
        let text = answer.trimmingSpaces
        let letter = text.firstIndex(of: ")").map { text[..<$0].suffix(1) } ?? text[...]
        return letter.count == 1 ? letter.first.flatMap { question.index(of: $0) } : nil
    }

    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        let answered = results.answered
        if answered.contains(where: \.question.isOpen) {
            guard answered.allSatisfy(\.question.isOpen) else {
                throw LongtakeError(
                    code: .badRequest,
                    message: "\(path): multiple choice and generation have files of their own: evaluate them one by one"
                )
            }
            return JSONValue.array(
                answered.map {
                    .object([
                        "video_name": .string($0.question.videoName), "Q": .string($0.question.text),
                        "A": .string($0.question.reference ?? ""), "pred": .string($0.answer ?? ""),
                    ])
                }
            ).text(indented: true) + "\n"
        }
        guard answered.allSatisfy({ $0.question.reference == nil }) else {
            return Self.saved(results) { result in
                [
                    "pred": .string(result.answer ?? ""), "gt": .string(Self.reference(result.question)),
                    "question": .string(Self.listed(result.question)),
                    "question_type": result.question.fields["question_type"] ?? .null,
                    "video": .string(result.question.videoName),
                ]
            }
        }
        return JSONValue.array(
            answered.map { result in
                // As in `test_bench.py`: what precedes the first ")".
                let text = (result.answer ?? "").trimmingSpaces
                let option = text.firstIndex(of: ")").map { String(text[..<$0]).trimmingSpaces } ?? text
                return .object(
                    result.question.fields.merging(["option": .string(result.letter ?? option)]) { first, _ in first })
            }
        ).text(indented: true) + "\n"
    }
}
