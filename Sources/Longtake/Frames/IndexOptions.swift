public import Media
internal import Store

/// How recordings are indexed.
public struct IndexOptions: Sendable {
    public var framesPerSecond = 1.0
    public var sampling = FrameRequest.Sampling.grid
    public var record = RecordKind.standard
    /// Whose patches stay. Not part of the key: an index with patches serves one without, and one without is made anew only
    /// where patches are asked for. Nil: a new index has patches, what is there is taken as it is.
    public var keep: Keep?
    public var stream: Int?
    /// Index again even where a complete index exists.
    public var force = false
    public var decodeThreads = 1
    public var maxDuration = 24.0 * 3600
    public var maxFrames = 10_000_000
    public var keepCorrupt = false
    /// A file changed within the last so many seconds counts as still being written.
    public var minimumAge = 0.0
    public var watchdog = 60.0
    /// How long to wait, in seconds, where another process writes the same index.
    public var lockWait = 0.0
    /// From then on no segment is begun but the first of a run; nil: there is no end.
    public var deadline: ContinuousClock.Instant?

    /// Whether the run has used the time it was given.
    var isOver: Bool { deadline.map { ContinuousClock.now >= $0 } ?? false }

    /// What of a frame stays besides its vision token.
    public enum Keep: String, Sendable, Codable, CaseIterable {
        /// The patches of every frame: 0.60 MB each at full size.
        case patches
        /// The patches of a sample of at most 128 frames: 8 KB a frame at full size, no second look at the others.
        case tokens

        var keeping: PatchKeeping { self == .patches ? .all : .sample }
    }

    public init() {}

    /// What the decoder is told.
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

    /// The words of `sampling` and of `record`.
    public static let samplings = FrameRequest.Sampling.allCases.map(\.rawValue)
    public static let records = RecordKind.allCases.map(\.rawValue)
    /// The words of `keep`.
    public static let keeps = Keep.allCases.map(\.rawValue)

    /// - Throws: `LongtakeError` `bad_request` naming what is known.
    public mutating func set(
        sampling: String, record: String = RecordKind.standard.rawValue, keep: String? = nil
    ) throws {
        func unknown(_ what: String, _ word: String, _ known: [String]) -> LongtakeError {
            LongtakeError(
                code: .badRequest, message: "unknown \(what) \(word); known: \(known.joined(separator: ", "))")
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

    /// The most frames a second; no video has more pictures than that.
    public static let maxFramesPerSecond = 1000.0

    /// - Throws: `LongtakeError` `bad_request` for a number that means nothing, with the limits.
    func validate() throws {
        func check(_ fits: Bool, _ name: String, _ value: some Any, _ limits: String) throws {
            guard !fits else { return }
            throw LongtakeError(code: .badRequest, message: "\(name) is \(value); possible is \(limits)")
        }
        try check(
            framesPerSecond > 0 && framesPerSecond <= Self.maxFramesPerSecond, "frames per second", framesPerSecond,
            "more than 0 and at most \(Self.maxFramesPerSecond)")
        try check(
            maxDuration > 0 && maxDuration <= 1e9, "the longest duration", maxDuration, "more than 0 and at most 1e9 s")
        try check((1...Int(Int32.max)).contains(maxFrames), "the number of frames", maxFrames, "1 to \(Int32.max)")
        try check((1...64).contains(decodeThreads), "the number of decode threads", decodeThreads, "1 to 64")
        try check((0...1e9).contains(minimumAge), "the least age", minimumAge, "0 to 1e9 s")
        try check(
            watchdog > 0 && watchdog <= 86_400, "the watchdog's time", watchdog, "more than 0 and at most 86400 s")
        try check((0...1e9).contains(lockWait), "the time to wait for a lock", lockWait, "0 to 1e9 s")
        try check((stream ?? 0) >= 0, "the stream", stream ?? 0, "0 or more")
    }
}
