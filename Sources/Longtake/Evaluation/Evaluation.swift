internal import Foundation

/// A benchmark's questions, read from its files.
package struct Evaluation: Sendable {
    /// The benchmark.
    package let format: EvaluationFormat
    /// In the order of the files.
    package let questions: [EvaluationQuestion]
    /// Remarks about the files, one sentence each.
    package let notes: [String]
    let benchmark: any Benchmark

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - files: paths of files, or of folders, whose files with the suffix json or jsonl are read in order of name.
    ///   - answers: a file of reference answers; nil: there is none.
    ///   - limit: only this many questions are kept, the first ones; nil: all.
    /// - Throws: `LongtakeError` `bad_questions` naming file, line and key; `bad_request`, `interrupted`.
    package init(
        _ format: EvaluationFormat, files: [String], answers: String? = nil, prompt: EvaluationPrompt = .benchmark,
        limit: Int? = nil, cancellation: Cancellation = Cancellation()
    ) throws {
        self.format = format
        // EgoSchema has no prompt of its own: both are LLaVA-Mini's.
        let isOwn = prompt == .benchmark || format == .egoSchema
        guard isOwn || format != .videoQA else {
            throw LongtakeError(code: .badRequest, message: "open-ended questions have no options to choose by letter")
        }
        benchmark = isOwn ? format.benchmark : LetterPrompt(benchmark: format.benchmark)
        var questions: [EvaluationQuestion] = []
        for file in try files.flatMap(Self.listed) {
            for entry in try QuestionFile(path: file, cancellation: cancellation).entries() {
                questions += try benchmark.questions(of: entry)
            }
        }
        if let answers {
            questions = try benchmark.add(
                QuestionFile(path: answers, cancellation: cancellation), to: questions)
        }
        if let limit { questions = Array(questions.prefix(limit)) }
        self.questions = questions
        let strange = questions.filter { $0.isScored && $0.correct == nil }
        if let first = strange.first {
            notes = [
                "\(counted(strange.count, "reference answer is", "reference answers are")) not among the options and "
                    + "cannot be chosen, the first at \(first.place)"
            ]
        } else {
            notes = []
        }
    }

    /// The file itself, or the JSON files of a folder.
    private static func listed(_ path: String) throws -> [String] {
        guard InputPath(path).isFolder else { return [path] }
        let names: [[UInt8]]
        do {
            names = try InputWalker.names(InputPath(path))
        } catch {
            throw LongtakeError(code: .badRequest, message: "\(path): cannot be read: \(error)")
        }
        let files = names.map { String(decoding: $0, as: UTF8.self) }.filter { name in
            !name.hasPrefix(".") && [".json", ".jsonl"].contains { name.lowercased().hasSuffix($0) }
        }.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
        guard !files.isEmpty else {
            throw LongtakeError(code: .badQuestions, message: "\(path): no file with the suffix json or jsonl in it")
        }
        return files.map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }

    /// Most tokens of an answer in the benchmark's own code.
    package var maxTokens: Int { benchmark.maxTokens }

    /// True if answers are scored by a rule.
    package var isScored: Bool { questions.contains(where: \.isScored) }

    /// The results for answers by question, in the order of `questions`.
    package func results(_ answers: [String?]) -> EvaluationResults {
        let all = zip(questions, answers).map { question, answer in
            EvaluationResult(
                question: question, answer: answer, choice: answer.flatMap { benchmark.choice(in: $0, of: question) },
                isCorrect: answer.flatMap { question.isScored ? benchmark.isCorrect($0, question) : nil })
        }
        return EvaluationResults(all: all, score: EvaluationScore(all, benchmark))
    }

    /// Writes the predictions in the benchmark's own form, replacing the file.
    ///
    /// - Throws: `Failure` `cannot_write`; `LongtakeError` `bad_request` if the form needs what is not there.
    package func writePredictions(_ results: EvaluationResults, to path: String) throws {
        try Self.write(benchmark.predictions(results, path: path), to: path)
    }

    /// Writes the percentages by task and their average, as MLVU's and MVBench's code does, replacing the file.
    ///
    /// - Throws: `Failure` `cannot_write`; `LongtakeError` `bad_request` for another benchmark.
    package func writeScores(_ results: EvaluationResults, to path: String) throws {
        guard Self.hasScoresFile.contains(format) else {
            throw LongtakeError(
                code: .badRequest, message: "\(format.rawValue) has no file of scores; mlvu and mvbench have one")
        }
        var values = ["Avg": results.score.average]
        for category in results.score.categories { values[category.name] = category.percent }
        try Self.write(String(decoding: JSONText.encoder(pretty: true).encode(values), as: UTF8.self) + "\n", to: path)
    }

    /// The benchmarks whose code writes a file of scores.
    package static let hasScoresFile: Set<EvaluationFormat> = [.mlvu, .mvBench]

    private static func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw Failure.cannotWrite(path, error)
        }
    }
}
