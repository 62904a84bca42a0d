internal import Checkpoints

/// The benchmarks whose files can be read (docs/eval-formats.md).
package enum EvaluationFormat: String, Sendable, CaseIterable {
    /// MLVU: multiple choice, and generation without a score.
    case mlvu
    /// EgoSchema: five options; most reference answers are not public.
    case egoSchema = "egoschema"
    /// MVBench: one file per task, ranges of clips.
    case mvBench = "mvbench"
    /// Video-MME: four options, without subtitles.
    case videoMME = "video-mme"
    /// Open-ended questions of MSVD-QA, MSRVTT-QA and ActivityNet-QA; a language model scores the answers.
    case videoQA = "videoqa"

    /// The names in the order of help texts.
    package static let names = allCases.map(\.rawValue)

    /// The rules of the benchmark.
    var benchmark: any Benchmark {
        switch self {
        case .mlvu: MLVU()
        case .egoSchema: EgoSchema()
        case .mvBench: MVBench()
        case .videoMME: VideoMME()
        case .videoQA: VideoQA()
        }
    }

    /// The benchmark that an entry's keys belong to; nil if unknown.
    static func likely(of members: [String: JSONValue]) -> EvaluationFormat? {
        if members["q_uid"] != nil { return .egoSchema }
        if members["candidates"] != nil { return members["question_type"] != nil ? .mlvu : .mvBench }
        if members["sub_category"] != nil || members["options"] != nil { return .videoMME }
        if members["video_name"] != nil { return .videoQA }
        return nil
    }
}

/// How multiple-choice questions are put to the model.
package enum EvaluationPrompt: String, Sendable, CaseIterable {
    /// The benchmark's own prompt, the answer read by its own code.
    case benchmark
    /// The question, its options and "Answer with one letter.", as LLaVA-Mini's evaluation does; the answer is the
    /// first letter of an option in the text.
    case letter

    /// The names in the order of help texts.
    package static let names = allCases.map(\.rawValue)
}
