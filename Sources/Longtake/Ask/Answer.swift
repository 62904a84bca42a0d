public import Models

/// A question about one recording.
public struct Question: Sendable {
    public var text: String
    /// Seconds from the first presented frame, [from, to); nil: from the start, to the end.
    public var from: Double?
    public var to: Double?
    public var sampling: Sampling
    public var maxTokens: Int
    public var fusion: FusionMode
    /// The answer ends after so many seconds of generation, whatever it has said by then.
    public var timeLimit: Double

    public static let defaultMaxTokens = 512

    public init(
        _ text: String, from: Double? = nil, to: Double? = nil, sampling: Sampling = .greedy,
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
        sampling = Sampling(temperature: temperature, topP: topP, seed: seed)
    }
}

/// What `longtake ask --json` prints.
public struct Answer: Sendable, Codable {
    public struct RecordingReference: Sendable, Codable {
        public let id: String
        public var path: String
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
    public var tokenIDs: [Int32]
    /// False when there was nothing to look at, e.g. no frame in the range.
    public var found: Bool
    public var recording: RecordingReference
    public var frames: Int
    /// Seconds from the first presented frame of the frames looked at, first and last.
    public var range: [Double]
    public var fusion: FusionSummary
    public var stop: String
    public var timings: Timings
    public var model: String
    public var notes: [String]
    /// What every answer must be read with.
    public var caution = Self.caution

    static let caution = "model output, may be wrong"

    private enum CodingKeys: String, CodingKey {
        case question, answer, caution
        case tokenIDs = "token_ids"
        case found, recording, frames, range, fusion, stop, timings, model, notes
    }
}
