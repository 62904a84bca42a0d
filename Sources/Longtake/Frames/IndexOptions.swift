package import Media
internal import Store

/// How recordings are indexed.
public struct IndexOptions: Sendable {
    /// Sampling rate in frames per second.
    public var framesPerSecond = 1.0
    /// Which frames are sampled.
    package var sampling = FrameRequest.Sampling.grid
    /// Contents and precision of the frame records.
    package var record = RecordKind.standard
    /// Which frames' patches to keep; nil keeps all in a new index and accepts an existing index as it is.
    ///
    /// Not part of the index key: an index with patches also serves requests without them, and one without is rebuilt
    /// only if patches are requested.
    public var keep: Keep?
    /// Which frames point to the record of an earlier frame instead of being encoded.
    public var reuse = Reuse.exact
    /// Index of a stream in the container; nil chooses the default video stream, then the largest.
    public var stream: Int?
    /// Index again even if a complete index exists.
    public var force = false
    /// Number of codec threads; 0 takes two per CPU, at most 8.
    public var decodeThreads = 0
    /// Maximum duration to index, in seconds.
    public var maxDuration = 24.0 * 3600
    /// Maximum number of frames to index.
    public var maxFrames = 10_000_000
    /// Also index frames that the decoder marks as damaged.
    public var keepCorrupt = false
    /// A file changed within this many seconds is considered still being written.
    public var minimumAge = 0.0
    /// Seconds without progress after which the decode worker is stopped.
    public var watchdog = 60.0
    /// How long to wait, in seconds, while another process writes the same index.
    public var lockWait = 0.0
    /// After this instant no segment except a run's first is started; nil means no limit.
    public var deadline: ContinuousClock.Instant?
    /// When and where the recordings were made; not part of the index key.
    package var clock = ClockSettings()

    /// True if the deadline has passed.
    var isOver: Bool { deadline.map { ContinuousClock.now >= $0 } ?? false }

    /// What is kept of a frame besides its vision token.
    public enum Keep: String, Sendable, Codable, CaseIterable {
        /// The patches of every frame: 0.60 MB per frame at full size.
        case patches
        /// The patches of a sample of at most 128 frames: 8 KB per frame at full size, but no refinement of an answer
        /// with other frames.
        case tokens

        var keeping: PatchKeeping { self == .patches ? .all : .sample }
    }

    /// Creates the default options.
    public init() {}

    /// Returns the request for the decoder.
    func request(_ output: FrameRequest.Output) -> FrameRequest {
        var request = FrameRequest(output: output)
        request.framesPerSecond = framesPerSecond
        request.sampling = sampling
        request.stream = stream
        request.threads = decodeThreads
        request.maxDuration = maxDuration
        request.maxFrames = maxFrames
        request.keepCorrupt = keepCorrupt
        request.watchdog = watchdog
        return request
    }

    /// True if only key frames are sampled, at their own times.
    package var samplesKeyFrames: Bool { sampling == .keyframes }
    /// The accepted values of `sampling`.
    package static let samplings = FrameRequest.Sampling.allCases.map(\.rawValue)
    /// The accepted values of `record`.
    package static let records = RecordKind.allCases.map(\.rawValue)
    /// The accepted values of `keep`.
    package static let keeps = Keep.allCases.map(\.rawValue)

    /// Sets options from text.
    ///
    /// - Throws: `LongtakeError` `bad_request` naming the known values.
    package mutating func set(
        sampling: String, record: String = RecordKind.standard.rawValue, keep: String? = nil
    ) throws {
        func unknown(_ what: String, _ name: String, _ known: [String]) -> LongtakeError {
            LongtakeError(
                code: .badRequest, message: "unknown \(what) \(name); known: \(known.joined(separator: ", "))")
        }
        guard let knownSampling = FrameRequest.Sampling(rawValue: sampling) else {
            throw unknown("sampling", sampling, Self.samplings)
        }
        guard let knownRecord = RecordKind(rawValue: record) else { throw unknown("record", record, Self.records) }
        if let keep {
            guard let known = Keep(rawValue: keep) else { throw unknown("kind to keep", keep, Self.keeps) }
            self.keep = known
        }
        self.sampling = knownSampling
        self.record = knownRecord
    }

    /// Maximum frames per second; no video has a higher frame rate.
    public static let maxFramesPerSecond = 1000.0

    /// Checks all values.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a value out of range, with the limits.
    func validate() throws {
        func check(_ fits: Bool, _ name: String, _ value: some Any, _ limits: String) throws {
            guard !fits else { return }
            throw LongtakeError(code: .badRequest, message: "\(name) is \(value); use \(limits)")
        }
        try check(
            framesPerSecond > 0 && framesPerSecond <= Self.maxFramesPerSecond, "frames per second", framesPerSecond,
            "more than 0 and at most \(Self.maxFramesPerSecond)")
        try check(
            maxDuration > 0 && maxDuration <= 1e9, "the maximum duration", maxDuration, "more than 0 and at most 1e9 s")
        try check(
            (1...Int(Int32.max)).contains(maxFrames), "the maximum number of frames", maxFrames, "1 to \(Int32.max)")
        try check((0...64).contains(decodeThreads), "the number of decode threads", decodeThreads, "0 to 64")
        try check((0...1e9).contains(minimumAge), "the minimum age", minimumAge, "0 to 1e9 s")
        try check(
            watchdog > 0 && watchdog <= 86_400, "the watchdog time", watchdog, "more than 0 and at most 86400 s")
        try check((0...1e9).contains(lockWait), "the time to wait for a lock", lockWait, "0 to 1e9 s")
        try check(reuse.isInRange, "the reuse threshold", reuse, "0 to 255 gray levels")
        try check((stream ?? 0) >= 0, "the stream", stream ?? 0, "0 or more")
    }
}
