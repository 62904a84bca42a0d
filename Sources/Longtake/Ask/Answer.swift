package import Models

/// A question about one recording and how to answer it.
public struct Question: Sendable {
    /// The question as asked, without the prompt template around it.
    public var text: String
    /// The pipeline's ID for the question; nil outside pipelines.
    public var id: String?
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    public var from: Double?
    /// End of the range, not included; nil: the recording's end.
    public var to: Double?
    /// How each token is chosen.
    package var sampling: GenerationOptions
    /// Most tokens of the answer, 1 or more.
    public var maxTokens: Int
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

/// An answer with its evidence and timings: the JSON of `longtake ask --json`.
public struct Answer: Sendable, Codable {
    /// The recording an answer is about.
    public struct RecordingReference: Sendable, Codable {
        /// "vid_…"; empty for a still image.
        public let id: String
        /// Where the file was when asked about.
        public var path: String
        /// ID of the index that was asked; nil for a still image.
        public var index: String?
    }

    /// Seconds spent in each stage.
    public struct Timings: Sendable, Codable {
        /// Loading the model.
        public var load: Double = 0
        /// Indexing the recording, or opening its index.
        public var index: Double = 0
        /// Fusing the text with frames.
        public var fuse: Double = 0
        /// The language model's prefill, up to the first token.
        public var prefill: Double = 0
        /// Generating the tokens after the first.
        public var decode: Double = 0
        /// From the start of the question (model loaded, recording indexed) to the first token.
        public var firstToken: Double = 0
        /// Indexing time per newly encoded frame; nil if no frame was encoded.
        public var secondsPerFrame: Double?
        /// Generation time per token after the first; nil for fewer than two tokens.
        public var secondsPerToken: Double?
        /// Largest resident set of the process so far.
        public var peakMemoryBytes: Int = 0

        private enum CodingKeys: String, CodingKey {
            case load, index, fuse, prefill, decode
            case firstToken = "first_token"
            case secondsPerFrame = "seconds_per_frame"
            case secondsPerToken = "seconds_per_token"
            case peakMemoryBytes = "peak_memory_bytes"
        }
    }

    /// The question's text.
    public var question: String
    /// The generated text, or "not found in this recording", or "no frames in range".
    public var answer: String
    /// The model's own text, if `answer` was replaced.
    public var said: String?
    /// Generated IDs, the stop token included.
    public var tokenIDs: [Int32]
    /// False if the range has no frame, or attention on frames stayed below the model's threshold.
    public var found: Bool
    /// Share of attention on frames, 0 to 1; nil for a model without evidence heads.
    public var foundScore: Double?
    /// Lowest probability, over all steps, of the likeliest next token, 0 to 1; nil if nothing was generated.
    public var certainty: Double?
    /// The intervals the answer was read from, strongest first; empty if it was read from no frame.
    public var evidence: [Evidence] = []
    /// Attention on each frame of the range; not in the JSON.
    public var attention: [Float] = []
    /// The recording or image the answer is about.
    public var recording: RecordingReference
    /// Frames in the range.
    public var frames: Int
    /// Times of the first and the last frame of the range, in seconds on the file's timeline.
    public var range: [Double]
    /// `range` in seconds from the first frame.
    public var rangeFromFirstFrame: [Double]
    /// Start and end of this window, in seconds on the file's timeline; nil unless asked window by window.
    public var segment: [Double]?
    /// `segment` in seconds from the first frame.
    public var segmentFromFirstFrame: [Double]?
    /// How many frames the text was fused with.
    public var fusion: FusionSummary
    /// True if the prefix cache over these frames already existed, from an earlier question or from indexing.
    public var reused = false
    /// The first answer, if there was a second pass.
    package var focus: FocusSummary?
    /// A `StopReason`, "time_limit" or "no_frames_in_range".
    public var stop: String
    /// Time per stage, and peak memory.
    public var timings: Timings
    /// Name of the model's folder.
    public var model: String
    /// Paths of the images written for the evidence.
    public var thumbnails: [String]?
    /// When the answer was given, RFC 3339.
    public var created = ""
    /// Remarks about the model, the index and this answer, one sentence each.
    public var notes: [String]
    /// The warning to show with every answer.
    public var caution = Self.caution

    static let caution = "model output, may be wrong"

    private enum CodingKeys: String, CodingKey {
        case question, answer, said, caution
        case tokenIDs = "token_ids"
        case foundScore = "found_score"
        case rangeFromFirstFrame = "range_from_first_frame"
        case segmentFromFirstFrame = "segment_from_first_frame"
        case found, certainty, evidence, recording, frames, range, segment, fusion, reused, focus, stop, timings, model
        case created, notes, thumbnails
    }
}
