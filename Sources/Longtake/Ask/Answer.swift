internal import Models

/// An answer with its evidence and timings: the JSON of `longtake ask --json`.
public struct Answer: Sendable, Codable {
    /// The recording an answer is about.
    public struct RecordingReference: Sendable, Codable {
        /// "vid_…"; empty for a still image.
        public let id: String
        /// Where the file was when asked about.
        public let path: String
        /// ID of the index that was asked; nil for a still image.
        public let index: String?
        /// The camera's name; nil if unknown.
        public internal(set) var camera: String?
        /// When it was recorded; nil if unknown.
        public internal(set) var clock: RecordedTime?
    }

    /// Why an answer ended where it does.
    public enum Stop: String, Sendable, Codable {
        /// The model ended it.
        case stopToken = "stop"
        /// It has as many tokens as the question allows.
        case length
        /// The caller wanted no more text.
        case cancelled
        /// The question's time limit was reached.
        case timeLimit = "time_limit"
        /// Nothing was generated: the range has no frame.
        case noFramesInRange = "no_frames_in_range"
    }

    /// Seconds spent in each stage.
    public struct Timings: Sendable, Codable {
        /// Loading the model.
        public let load: Double
        /// Indexing the recording, or opening its index.
        public let index: Double
        /// Fusing the text with frames.
        public let fuse: Double
        /// The language model's prefill, up to the first token.
        public let prefill: Double
        /// Generating the tokens after the first.
        public let decode: Double
        /// From the start of the question (model loaded, recording indexed) to the first token.
        public let firstToken: Double
        /// Indexing time per newly encoded frame; nil if no frame was encoded.
        public let secondsPerFrame: Double?
        /// Generation time per token after the first; nil for fewer than two tokens.
        public let secondsPerToken: Double?
        /// Largest resident set of the process so far.
        public let peakMemoryBytes: Int

        private enum CodingKeys: String, CodingKey {
            case load, index, fuse, prefill, decode
            case firstToken = "first_token"
            case secondsPerFrame = "seconds_per_frame"
            case secondsPerToken = "seconds_per_token"
            case peakMemoryBytes = "peak_memory_bytes"
        }
    }

    /// The question's text.
    public let question: String
    /// The generated text, or "not found in this recording", or "no frames in range".
    public let answer: String
    /// The model's own text, if `answer` differs from it.
    public let modelText: String?
    /// The form that the question declared; nil: free text.
    public let form: AnswerForm.Name?
    /// The value of an answer in a form; nil: free text, or there is no answer (`found` is false then).
    public let value: AnswerValue?
    /// Generated IDs, the stop token included.
    public let tokenIDs: [Int32]
    /// False if the range has no frame, or attention on frames stayed below the model's threshold.
    public let found: Bool
    /// Share of attention on frames, 0 to 1; nil for a model without evidence heads.
    public let foundScore: Double?
    /// Lowest probability, over all steps, of the likeliest next token, 0 to 1; nil if nothing was generated.
    public let certainty: Double?
    /// The intervals the answer was read from, strongest first; empty if it was read from no frame.
    public let evidence: [Evidence]
    /// Attention on each frame of the range; not in the JSON, and empty in a decoded answer.
    public private(set) var attention: [Float] = []
    /// The recording or image the answer is about.
    public let recording: RecordingReference
    /// Frames in the range.
    public let frames: Int
    /// Times of the first and the last frame of the range, in seconds on the file's timeline.
    public let range: [Double]
    /// `range` in seconds from the first frame.
    public let rangeFromFirstFrame: [Double]
    /// `range` as times of day, RFC 3339; nil if the recording's start is unknown.
    public let rangeClock: [String]?
    /// Start and end of this window, in seconds on the file's timeline; nil unless asked window by window.
    public let segment: [Double]?
    /// `segment` in seconds from the first frame.
    public let segmentFromFirstFrame: [Double]?
    /// `segment` as times of day, RFC 3339.
    public let segmentClock: [String]?
    /// How many frames the text was fused with.
    public let fusion: FusionSummary
    /// True if the prefix cache over these frames already existed, from an earlier question or from indexing.
    public let reused: Bool
    /// The first answer, if there was a second pass.
    package let focus: FocusSummary?
    /// Why the answer ended.
    public let stop: Stop
    /// Time per stage, and peak memory.
    public let timings: Timings
    /// Name of the model's folder.
    public let model: String
    /// Paths of the images written for the evidence.
    public private(set) var thumbnails: [String]?
    /// When the answer was given, RFC 3339.
    public let created: String
    /// Remarks about the model, the index and this answer, one sentence each.
    public private(set) var notes: [String]
    /// The warning to show with every answer.
    public let caution: String

    static let caution = "model output, may be wrong"

    /// The window, else the range, as times of day for people; nil if unknown.
    package var dayTimes: String? {
        let times = segmentClock ?? rangeClock ?? []
        return DayInterval.text(times.first, times.last)
    }

    /// The same answer with the images written for its evidence, and remarks about those that could not be.
    public func adding(thumbnails: [String], notes: [String]) -> Answer {
        var copy = self
        copy.thumbnails = thumbnails
        copy.notes += notes
        return copy
    }

    private enum CodingKeys: String, CodingKey {
        case question, answer, caution
        case modelText = "said"
        case tokenIDs = "token_ids"
        case foundScore = "found_score"
        case rangeFromFirstFrame = "range_from_first_frame"
        case segmentFromFirstFrame = "segment_from_first_frame"
        case form, value, found, certainty, evidence, recording, frames, range, segment, fusion, reused, focus, stop,
            timings, model
        case rangeClock = "range_clock"
        case segmentClock = "segment_clock"
        case created, notes, thumbnails
    }
}

extension Answer.Stop {
    /// The reason why the language model ended.
    init(_ reason: StopReason) {
        self =
            switch reason {
            case .stopToken: .stopToken
            case .length: .length
            case .cancelled: .cancelled
            }
    }
}
