internal import Checkpoints

/// Video-MME (arXiv 2405.21075): a video per entry with its `questions`, as in the template for results; or a question
/// per entry, as in the published table. Subtitles are not used: its scores are those "without subtitles".
///
/// The prompt is the README's, the reading of answers that of `eval_your_results.py`.
struct VideoMME: Benchmark {
    let maxTokens = 128
    let averageName = "overall"
    /// Answers without a letter are left out of the percentages.
    let skipsUnread = true

    private static let videoKeys = ["video_id", "duration", "domain", "sub_category"]

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] {
        guard let list = entry.members["questions"] else { return [try question(entry, of: entry)] }
        guard let questions = list.arrayValue, !questions.isEmpty else {
            throw entry.bad("`questions` must be a list of questions")
        }
        return try questions.map { value in
            guard let members = value.objectValue else { throw entry.bad("`questions` must be a list of objects") }
            return try question(
                QuestionEntry(file: entry.file, line: entry.line, number: entry.number, members: members), of: entry)
        }
    }

    private func question(_ entry: QuestionEntry, of video: QuestionEntry) throws -> EvaluationQuestion {
        var names: [String] = []
        if video.has("videoID") { names.append(try video.videoName("videoID")) }
        // "https://www.youtube.com/watch?v=ID": videos are usually kept under this ID.
        if let url = try video.optionalText("url"), let start = url.firstRange(of: "v=")?.upperBound {
            let id = url[start...].prefix { $0.isLetter || $0.isNumber || "-_".contains($0) }
            if !id.isEmpty, !names.contains(String(id)) { names.append(String(id)) }
        }
        names.append(try video.videoName("video_id"))
        let options = try entry.options("options")
        let reference = try entry.optionalText("answer")
        let correct = reference.flatMap { $0.count == 1 ? $0.first : nil }
            .flatMap { letter in options.indices.first { EvaluationQuestion.letter($0) == letter } }
        if let reference, correct == nil {
            throw entry.bad("`answer` must be the letter of an option, not \(reference)")
        }
        let kinds = [
            ("duration", video, "duration"), ("domain", video, "domain"), ("sub-category", video, "sub_category"),
            ("task", entry, "task_type"),
        ]
        return EvaluationQuestion(
            id: try entry.text("question_id"), text: try entry.text("question"), options: options,
            place: "\(entry.file):\(entry.line)", video: .init(names: names, folders: ["data", "video"]),
            reference: reference, correct: correct,
            categories: try kinds.map { EvaluationQuestion.Category(kind: $0, name: try $1.text($2)) },
            fields: video.members.filter { Self.videoKeys.contains($0.key) }
                .merging(entry.members.filter { ["question_id", "task_type", "answer"].contains($0.key) }) { $1 })
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) {
        (
            "Select the best answer to the following multiple-choice question based on the video. Respond with only "
                + "the letter (A, B, C, or D) of the correct option.\n\(question.text)\n"
                + question.options.joined(separator: "\n") + "\nThe best answer is:", ""
        )
    }

    /// What the benchmark's code removes before it looks for the first of A, B, C and D.
    ///
    /// Two entries are two texts joined, for want of a comma there: kept, so that scores are comparable.
    private static let prefixes = [
        "The best answer is", "The correct answer is", "The answer is", "The answer",
        "The best option isThe correct option is", "Best answer:Best option:", "Answer:", "Option:",
        "The correct answer", "The correct option",
    ]

    func choice(in answer: String, of question: EvaluationQuestion) -> Int? {
        var text = answer.trimmingSpaces
        for prefix in Self.prefixes { text = text.replacing(prefix, with: "") }
        return text.first { "ABCD".contains($0) }.flatMap { question.index(of: $0) }
    }

    /// The results' template: videos with their questions, each with the model's `response`.
    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        var (order, videos) = ([JSONValue](), [String: [EvaluationResult]]())
        for result in results.all {
            let id = result.question.fields["video_id"] ?? .null
            if videos[id.text()] == nil { order.append(id) }
            videos[id.text(), default: []].append(result)
        }
        return JSONValue.array(
            order.map { id in
                let results = videos[id.text()] ?? []
                var video = (results.first?.question.fields ?? [:]).filter { Self.videoKeys.contains($0.key) }
                video["missing"] = .bool(results.allSatisfy { $0.answer == nil })
                video["questions"] = .array(
                    results.map { result in
                        var question = result.question.fields.filter { !Self.videoKeys.contains($0.key) }
                        question["question"] = .string(result.question.text)
                        question["options"] = .array(result.question.options.map { .string($0) })
                        question["response"] = .string(result.answer ?? "")
                        return .object(question)
                    })
                return .object(video)
            }
        ).text(indented: true) + "\n"
    }
}
