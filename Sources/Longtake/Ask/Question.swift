package import Models
internal import Tokenizers

/// A question about one recording and how to answer it.
public struct Question: Sendable {
    /// The question as asked, without the prompt template around it.
    public var text: String
    /// How the model's answer begins: part of the prompt, which the model continues and the answer does not repeat.
    package var answerStart = ""
    /// The pipeline's ID for the question; nil outside pipelines.
    public var id: String?
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    public var from: Double?
    /// End of the range, not included; nil: the recording's end.
    public var to: Double?
    /// Times of day that limit the range; its cameras do not apply.
    package var selection = RecordingSelection()
    /// How each token is chosen.
    package var sampling: GenerationOptions
    /// Most tokens of the answer, 1 or more.
    public var maxTokens: Int
    /// The form that the answer must have; nil: free text.
    public var form: AnswerForm?
    /// Which frames of the range the text is fused with.
    public var fusion: FusionMode
    /// Most frames the text is fused with, 1 or more; a longer range is sampled.
    public var fusionFrames = FusionPlan.sampleSize
    /// Fusion of a sample stops once the relative standard error of the question's own rows is at most this.
    ///
    /// 0: always fuse the whole sample; nil: the value in the model's folder, else 0.
    public var fusionError: Double?
    /// Whether to answer a second time, fused with the frames the first answer attended to most.
    public var focus = FocusMode.automatic
    /// Most evidence intervals in the answer.
    public var evidenceLimit = 3
    /// Replaces an answer without evidence by "not found", unless the answer is itself a denial.
    public var mustBeSeen = false
    /// Generation stops this many seconds after its prefill began, with the text produced so far.
    public var timeLimit: Double

    /// Default of `maxTokens`.
    public static let defaultMaxTokens = 512

    /// A question with the given generation settings; the other properties keep their defaults.
    package init(
        _ text: String, from: Double? = nil, to: Double? = nil, sampling: GenerationOptions = .greedy,
        maxTokens: Int = Question.defaultMaxTokens, fusion: FusionMode = .automatic, timeLimit: Double = 3600
    ) {
        self.text = text
        self.from = from
        self.to = to
        self.sampling = sampling
        self.maxTokens = maxTokens
        self.fusion = fusion
        self.timeLimit = timeLimit
    }

    /// Switches to sampling; the same seed gives the same answer.
    public mutating func sample(temperature: Double, topP: Double, seed: UInt64) {
        sampling = GenerationOptions(temperature: temperature, topP: topP, seed: seed)
    }
}

extension Question {
    /// The range in seconds on the timeline of a recording: [from, to), as far as it is in the selected window.
    ///
    /// - Throws: `LongtakeError` `bad_request` if a window is selected and it is unknown when the recording started.
    func range(on clock: RecordingClock, of name: String) throws -> (from: Double?, to: Double?) {
        try selection.narrowed(from: from, to: to, on: clock, of: name)
    }
}

/// A question with its prompt, which is built once and handed on.
struct PromptedQuestion {
    var question: Question
    let prompt: Prompt
}
