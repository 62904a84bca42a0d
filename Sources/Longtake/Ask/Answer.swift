public import Models

/// A question about one recording.
public struct Question: Sendable {
    public var text: String
    /// A pipeline's name for it.
    public var id: String?
    /// Seconds on the file's time line, [from, to); nil: from the start, to the end.
    public var from: Double?
    public var to: Double?
    public var sampling: GenerationOptions
    public var maxTokens: Int
    public var fusion: FusionMode
    /// The most frames the text is fused with, 1 or more; a longer range is sampled.
    public var fusionFrames = FusionPlan.sampleSize
    /// A sample is fused no further when the relative standard error of the question's own rows is at most this.
    ///
    /// 0: always all of it; nil: what the model's folder says, else 0.
    public var fusionError: Double?
    /// Whether the answer is given a second time, fused with the frames that the first was read from.
    public var focus = FocusMode.automatic
    /// The most stretches of evidence in the answer.
    public var evidenceLimit = 3
    /// An answer that was read from no frame is replaced by "not found", unless it says itself that there is nothing.
    public var mustBeSeen = false
    /// The answer ends after so many seconds of generation, whatever it has said by then.
    public var timeLimit: Double

    public static let defaultMaxTokens = 512

    public init(
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

    /// Sampled answers: the same seed gives the same answer.
    public mutating func sample(temperature: Double, topP: Double, seed: UInt64) {
        sampling = GenerationOptions(temperature: temperature, topP: topP, seed: seed)
    }
}

/// What `longtake ask --json` prints.
public struct Answer: Sendable, Codable {
    public struct RecordingReference: Sendable, Codable {
        public let id: String
        public var path: String
        /// The index that was asked; nil for a picture.
        public var index: String?
    }

    /// Seconds spent in each stage.
    public struct Timings: Sendable, Codable {
        public var load: Double = 0
        public var index: Double = 0
        public var fuse: Double = 0
        public var prefill: Double = 0
        public var decode: Double = 0
        /// From the start of the question (model loaded, recording indexed) to the first token.
        public var firstToken: Double = 0
        public var secondsPerFrame: Double?
        public var secondsPerToken: Double?
        public var peakMemoryBytes: Int = 0

        private enum CodingKeys: String, CodingKey {
            case load, index, fuse, prefill, decode
            case firstToken = "first_token"
            case secondsPerFrame = "seconds_per_frame"
            case secondsPerToken = "seconds_per_token"
            case peakMemoryBytes = "peak_memory_bytes"
        }
    }

    public var question: String
    public var answer: String
    /// The model's own words, where `answer` is not them.
    public var said: String?
    public var tokenIDs: [Int32]
    /// False when there was nothing to look at, e.g. no frame in the range, or the answer was read from no frame.
    public var found: Bool
    /// The share of attention that was on frames, 0 to 1; nil where the model has no heads trained to show it.
    public var foundScore: Double?
    /// The probability of the likeliest next token where it was least, 0 to 1; nil where the model said nothing.
    public var certainty: Double?
    /// What the answer was read from, the strongest first; empty when it was read from no frame.
    public var evidence: [Evidence] = []
    /// How much each frame looked at was looked at; not in the JSON.
    public var attention: [Float] = []
    public var recording: RecordingReference
    public var frames: Int
    /// Seconds on the file's time line of the frames looked at, first and last.
    public var range: [Double]
    /// The same from the first picture.
    public var rangeFromFirstFrame: [Double]
    /// Of a question asked about one window after the other: this one's start and end in seconds on the file's time line.
    public var segment: [Double]?
    /// The same from the first picture.
    public var segmentFromFirstFrame: [Double]?
    public var fusion: FusionSummary
    /// Whether what questions about these frames share was there already, from an earlier question or from indexing.
    public var reused = false
    /// The first answer, where there was a second look.
    public var focus: FocusSummary?
    public var stop: String
    public var timings: Timings
    public var model: String
    /// Images that were written of the evidence.
    public var thumbnails: [String]?
    /// When it was given, RFC 3339.
    public var created = ""
    public var notes: [String]
    /// What every answer must be read with.
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
