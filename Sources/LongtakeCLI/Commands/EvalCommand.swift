import ArgumentParser
import Longtake

struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Ask a benchmark's questions and score the answers.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake eval mlvu MLVU/json --videos MLVU/video
              longtake eval egoschema questions.json --videos videos --answers subset_answers.json --predictions submission.csv
              longtake eval mvbench MVBench/json --videos MVBench/video --predictions test.json --scores upload_leaderboard.json
              longtake eval video-mme videomme.json --videos videos --predictions results.json
              longtake eval videoqa test_q.json --answers test_a.json --videos videos --predictions merge.jsonl

            Each video is indexed once. Answers are appended to a file as they complete, and a later run with the same model \
            and options continues there. If a video is missing or a question fails, the others are still asked; the exit \
            status is then 3.
            """))

    @Argument(help: "mlvu, egoschema, mvbench, video-mme or videoqa.", completion: .list(EvaluationFormat.names))
    var format: String

    @Argument(
        help: ArgumentHelp(
            "Question files as the benchmark has them, a JSON array or JSON lines; or folders of them.",
            valueName: "file"), completion: .file())
    var files: [String]

    @Option(
        help: ArgumentHelp("Folder of the videos, which may be in subfolders.", valueName: "dir"),
        completion: .directory)
    var videos: String

    @Option(
        help: ArgumentHelp(
            "File of reference answers: EgoSchema's subset_answers.json, test_a.json of videoqa.", valueName: "file"),
        completion: .file())
    var answers: String?

    @Option(
        help: ArgumentHelp(
            "File that answers are appended to, one JSON object per line; FORMAT.jsonl by default.", valueName: "file"),
        completion: .file())
    var out: String?

    @Option(
        help: ArgumentHelp("Write the predictions in the benchmark's own form.", valueName: "file"),
        completion: .file())
    var predictions: String?

    @Option(
        help: ArgumentHelp(
            "Write the percentages by task and their average (mlvu and mvbench), as the benchmark's code does.",
            valueName: "file"), completion: .file())
    var scores: String?

    @Option(
        help: """
            benchmark (the default): its own prompt, answers read by its own rule. letter: the question, its options and \
            "Answer with one letter.", as LLaVA-Mini was evaluated.
            """, completion: .list(EvaluationPrompt.names))
    var prompt = EvaluationPrompt.benchmark.rawValue

    @Option(help: "Ask only the first N questions.")
    var limit: Int?

    @Flag(help: "Print how many questions and videos there are; ask nothing.")
    var dryRun = false

    @Option(.maxTokens, "Maximum length of an answer in tokens; as in the benchmark's code by default.")
    var maxTokens: Int?

    @Option(
        .fusion, "Frames the question is fused with: auto (a sample of long videos) or exact (all).",
        completion: .list(FusionMode.allCases.map(\.rawValue)))
    var fusion: String?

    @Option(.fusionFrames, "Maximum number of frames the question is fused with under --fusion auto; 64 by default.")
    var fusionFrames: Int?

    @Option(.focus, "Second pass: auto (the default), off, or a number of frames.", completion: .list(["auto", "off"]))
    var focus: String?

    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard let format = EvaluationFormat(rawValue: try Choice.check(format, "format", of: EvaluationFormat.names)),
            let prompt = EvaluationPrompt(rawValue: try Choice.check(prompt, "--prompt", of: EvaluationPrompt.names))
        else { return }
        if let limit, limit < 1 { throw UsageError("--limit must be 1 or more, not \(limit)") }
        if scores != nil, !Evaluation.hasScoresFile.contains(format) {
            throw UsageError("--scores is for mlvu and mvbench, whose code writes such a file")
        }
        let out = out ?? "\(format.rawValue).jsonl"
        let written = [out, predictions, scores].compactMap(\.self).map { InputPath($0).absolute }
        guard Set(written).count == written.count else {
            throw UsageError("--out, --predictions and --scores must be different files")
        }
        let evaluation = try Evaluation(
            format, files: files, answers: answers, prompt: prompt, limit: limit,
            cancellation: Interruption.cancellation)
        let (settings, options) = (try settings(evaluation), try sampling.options())
        let policy = try prefixCache.policyOfQuestions()
        try keyValues.check()
        guard let identity = try model.identity() else {
            // Loading it reports the reason.
            _ = try model.load()
            return
        }
        let library = try library.open(telling: output)
        let (model, keyValues) = (model, keyValues)
        let analyzer = Deferred {
            Analyzer(
                model: try model.load(keyValues: (keyValues, nil)), library: library, prefixCache: policy,
                cancellation: Interruption.cancellation)
        }
        for note in identity.notes { output.note("note: \(Console.name(note))") }
        let report = EvalReport(output, questions: evaluation.questions.count)
        let runner = try EvaluationRunner(
            evaluation, videos: videos, out: out, analyzer: analyzer, model: identity, options: options,
            settings: settings, cancellation: Interruption.cancellation)
        if dryRun {
            let known = try KnownFiles(library, model: identity, options: options, files: evaluation.questions.count)
            let plan = try runner.plan(known) { report.show($0) }
            report.show(plan: plan)
            if plan.isPartial { throw ExitCode(Exit.partial) }
            return
        }
        let (summary, results) = try runner.run { report.show($0) }
        if let predictions { try evaluation.writePredictions(results, to: predictions) }
        if let scores { try evaluation.writeScores(results, to: scores) }
        report.show(summary, evaluation)
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }

    /// How questions are answered, greedily; text and range are the benchmark's.
    private func settings(_ evaluation: Evaluation) throws -> Question {
        let mode = try OptionName.fusion.choice(fusion, of: FusionMode.allCases.map(\.rawValue))
        var question = Question(
            "?", maxTokens: try OptionName.maxTokens.value(maxTokens, in: 1...1_000_000) ?? evaluation.maxTokens,
            fusion: mode.flatMap(FusionMode.init) ?? .automatic)
        question.fusionFrames =
            try OptionName.fusionFrames.value(fusionFrames, in: 1...1_000_000) ?? question.fusionFrames
        question.focus = try FocusMode(option: focus)
        return question
    }
}
