internal import Foundation

/// What to search, and how much of what was found to say.
public struct SearchOptions: Sendable {
    /// Seconds on the file's time line: frames with `from` <= time < `to`.
    public var from: Double?
    public var to: Double?
    /// The most moments.
    public var limit = SearchOptions.defaultLimit
    /// The least cosine of a frame; nil: by the scores themselves (`Moment.threshold`).
    public var threshold: Double?

    public static let defaultLimit = 20
    public static let possibleLimits = 1...100_000

    public init() {}

    /// - Throws: `LongtakeError` `bad_request` for what means nothing, with the limits.
    func validate() throws {
        func fail(_ message: String) -> LongtakeError { LongtakeError(code: .badRequest, message: message) }
        guard Self.possibleLimits.contains(limit) else {
            throw fail("a limit of \(limit) moments; possible is 1 to \(Self.possibleLimits.upperBound)")
        }
        if let threshold, !(-1...1).contains(threshold) {
            throw fail("a threshold of \(threshold); cosines are -1 to 1")
        }
        if let from, let to, from >= to { throw fail("the range's start is not before its end") }
    }
}

/// A stretch of a recording that a text fits.
public struct Moment: Sendable, Codable, Equatable {
    public struct Recording: Sendable, Codable, Equatable {
        /// "vid_…"
        public let id: String
        public let index: String
        /// The file's name.
        public let name: String
        /// Where it is now, as far as the catalog knows.
        public let path: String
        public let file: FileState
    }

    /// Seconds on the file's time line, as players show them, of its first frame and of the end of its last one.
    public let start: Double
    public let end: Double
    /// The same from the first picture.
    public let startFromFirstFrame: Double
    public let endFromFirstFrame: Double
    /// The cosine of the text and its best frame.
    public let score: Double
    /// The best frame's time on both clocks, and its number in the index.
    public let best: Double
    public let bestFromFirstFrame: Double
    public let frame: Int
    public let recording: Recording
    /// The best frame's picture, where one was written.
    public var thumbnail: String?

    /// - Parameters:
    ///   - start, end, best: seconds from the first picture.
    ///   - clock: puts them on the file's time line.
    init(
        start: Double, end: Double, best: Double, clock: RecordingClock, score: Double, frame: Int, recording: Recording
    ) {
        (startFromFirstFrame, endFromFirstFrame, bestFromFirstFrame) = (start, end, best)
        (self.start, self.end) = (clock.fileTime(start), clock.fileTime(end))
        self.best = clock.fileTime(best)
        self.score = score
        self.frame = frame
        self.recording = recording
    }

    private enum CodingKeys: String, CodingKey {
        case start, end, score, best, frame, recording, thumbnail
        case startFromFirstFrame = "start_from_first_frame"
        case endFromFirstFrame = "end_from_first_frame"
        case bestFromFirstFrame = "best_from_first_frame"
    }
}

/// What a search found.
public struct SearchResult: Sendable, Codable {
    /// A recording that could not be searched.
    public struct Trouble: Sendable, Codable {
        public let recording: Moment.Recording
        public let error: Failure
    }

    public struct Timings: Sendable, Codable {
        /// Seconds: the text's embedding, and reading and comparing all frames.
        public var text = 0.0
        public var scan = 0.0
    }

    public let query: String
    /// The model folder's name.
    public let model: String
    /// The best first.
    public var moments: [Moment]
    /// The least score of a frame in a moment.
    public let threshold: Double?
    /// Of all frames looked at; nil where there were none.
    public let best: Double?
    public let mean: Double?
    public let frames: Int
    public let recordings: Int
    public var notes: [String]
    public let failed: [Trouble]
    public var contactSheet: String?
    public var timings = Timings()

    private enum CodingKeys: String, CodingKey {
        case query, model, moments, threshold, best, mean, frames, recordings, notes, failed, timings
        case contactSheet = "contact_sheet"
    }
}
