internal import Foundation

/// The range of a search and the limits of its result.
public struct SearchOptions: Sendable {
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    public var from: Double?
    /// End of the range, not included; nil: the recording's end.
    public var to: Double?
    /// Most moments in the result.
    public var limit = SearchOptions.defaultLimit
    /// Minimum cosine of a frame; nil: derived from the scores by `MomentFinder.threshold`.
    public var threshold: Double?

    /// Default of `limit`.
    public static let defaultLimit = 20
    /// Accepted values of `limit`.
    public static let acceptedLimits = 1...100_000

    /// Which recordings and times of day are searched.
    package var selection = RecordingSelection()

    /// A search over everything with the default limits.
    public init() {}

    /// Checks the values.
    ///
    /// - Throws: `LongtakeError` `bad_request` with the accepted values.
    func validate() throws {
        func fail(_ message: String) -> LongtakeError { LongtakeError(code: .badRequest, message: message) }
        guard Self.acceptedLimits.contains(limit) else {
            throw fail("invalid limit \(limit); use 1 to \(Self.acceptedLimits.upperBound)")
        }
        if let threshold, !(-1...1).contains(threshold) {
            throw fail("invalid threshold \(threshold); a cosine is -1 to 1")
        }
        if let from, let to, from >= to { throw fail("the range must start before it ends") }
    }
}

/// An interval of a recording that matches a text.
public struct Moment: Sendable, Codable, Equatable {
    /// The recording a moment is in.
    public struct Recording: Sendable, Codable, Equatable {
        /// "vid_…"
        public let id: String
        /// ID of the index that was searched.
        public let index: String
        /// The file's name without its folder.
        public let name: String
        /// The file's current path, as far as the catalog knows.
        public let path: String
        /// Whether the file is still the one that was indexed.
        public let file: FileState
        /// The camera's name; nil if unknown.
        public let camera: String?
    }

    /// Time of its first frame, in seconds on the file's timeline, as players show it.
    public let start: Double
    /// End of its last frame, in seconds on the file's timeline.
    public let end: Double
    /// `start` in seconds from the first frame.
    public let startFromFirstFrame: Double
    /// `end` in seconds from the first frame.
    public let endFromFirstFrame: Double
    /// Cosine of the text and the best frame.
    public let score: Double
    /// Time of the best frame, in seconds on the file's timeline.
    public let best: Double
    /// `best` in seconds from the first frame.
    public let bestFromFirstFrame: Double
    /// `start` as a time of day, RFC 3339; nil if the recording's start is unknown.
    public let startClock: String?
    /// `end` as a time of day.
    public let endClock: String?
    /// `best` as a time of day.
    public let bestClock: String?
    /// Index frame number of the best frame, from 0.
    public let frame: Int
    /// The recording and its current path.
    public let recording: Recording
    /// Path of the best frame's image, if one was written.
    public var thumbnail: String?
    /// Start and end as times of day, for people; nil if unknown.
    package var dayTimes: String? { DayInterval.text(startClock, endClock) }

    /// A moment from grid times.
    ///
    /// - Parameters:
    ///   - start, end, best: seconds from the first frame.
    ///   - clock: converts them to the file's timeline.
    init(
        start: Double, end: Double, best: Double, clock: RecordingClock, score: Double, frame: Int, recording: Recording
    ) {
        (startFromFirstFrame, endFromFirstFrame, bestFromFirstFrame) = (start, end, best)
        (self.start, self.end) = (clock.fileTime(start), clock.fileTime(end))
        self.best = clock.fileTime(best)
        startClock = clock.dayTime(clock.fileTime(start))
        endClock = clock.dayTime(clock.fileTime(end))
        bestClock = clock.dayTime(clock.fileTime(best))
        self.score = score
        self.frame = frame
        self.recording = recording
    }

    private enum CodingKeys: String, CodingKey {
        case start, end, score, best, frame, recording, thumbnail
        case startFromFirstFrame = "start_from_first_frame"
        case endFromFirstFrame = "end_from_first_frame"
        case bestFromFirstFrame = "best_from_first_frame"
        case startClock = "start_clock"
        case endClock = "end_clock"
        case bestClock = "best_clock"
    }
}

/// The result of a search.
public struct SearchResult: Sendable, Codable {
    /// A recording that could not be searched.
    package struct FailedRecording: Sendable, Codable {
        /// The recording.
        package let recording: Moment.Recording
        /// Why it could not be searched.
        package let error: Failure
    }

    /// Seconds spent in each stage.
    package struct Timings: Sendable, Codable {
        /// Embedding the text.
        package var text = 0.0
        /// Reading and scoring all frames.
        package var scan = 0.0
    }

    /// The text searched for.
    public let query: String
    /// Name of the model's folder.
    public let model: String
    /// Best first.
    public var moments: [Moment]
    /// Minimum score of a frame in a moment; nil if no frame was scored and none was given.
    public let threshold: Double?
    /// Highest cosine of all frames scored; nil if none were.
    public let best: Double?
    /// Mean cosine of all frames scored; nil if none were.
    public let mean: Double?
    /// Frames scored.
    public let frames: Int
    /// Recordings searched, including failed ones.
    public let recordings: Int
    /// Remarks about the model, the choice of indexes and the result, one sentence each.
    public var notes: [String]
    /// The recordings that could not be searched.
    package let failed: [FailedRecording]
    /// Path of the contact sheet, if one was written.
    public var contactSheet: String?
    /// Time per stage.
    package var timings = Timings()

    private enum CodingKeys: String, CodingKey {
        case query, model, moments, threshold, best, mean, frames, recordings, notes, failed, timings
        case contactSheet = "contact_sheet"
    }
}
