internal import Yams

/// How a pipeline samples and keeps frames; nil: as the command line or environment sets it.
package struct PipelineSampling: Sendable {
    /// Seconds since its last change after which a file is taken.
    package let minimumAge: Double?
    /// Frames sampled per second.
    package let framesPerSecond: Double?
    /// Index of the video stream in each file.
    package let stream: Int?
    /// Which frames are reused.
    package let reuse: IndexOptions.Reuse?
    /// Which frames are sampled, one of `IndexOptions.samplings`.
    package let sampling: String?
    /// Contents and precision of the frame records, one of `IndexOptions.records`.
    package let record: String?
    /// Which frames' patches are kept, one of `IndexOptions.keeps`.
    package let keep: String?
    /// Whether frames that the decoder flags as damaged are taken.
    package let keepCorrupt: Bool?
    /// Maximum duration that is indexed, in seconds, and maximum number of frames.
    package let maxDuration: Double?
    package let maxFrames: Int?

    static let keys = [
        "min_age", "fps", "stream", "reuse", "sampling", "record", "keep", "keep_corrupt", "max_duration", "max_frames",
    ]

    init(_ keys: PipelineKeys) throws {
        func name(_ key: String, of known: [String]) throws -> String? {
            guard let text = try keys.string(key) else { return nil }
            guard known.contains(text) else {
                throw keys.bad("`\(key)` must be \(PipelineKeys.list(known)), not \(text)", keys.mapping[key])
            }
            return text
        }
        minimumAge = try keys.duration("min_age")
        framesPerSecond = try keys.number("fps", in: 0.001...240)
        stream = try keys.integer("stream", from: 0)
        reuse = try keys.reuse()
        sampling = try name("sampling", of: IndexOptions.samplings)
        record = try name("record", of: IndexOptions.records)
        keep = try name("keep", of: IndexOptions.keeps)
        keepCorrupt = try keys.boolean("keep_corrupt")
        maxDuration = try keys.duration("max_duration")
        if maxDuration == 0 { throw keys.bad("`max_duration` must be above 0", keys.mapping["max_duration"]) }
        maxFrames = try keys.integer("max_frames")
    }
}

/// Limits of a pipeline's runs; nil: as the command line or environment sets it.
package struct PipelineLimits: Sendable {
    /// Seconds after which a run stops.
    package let maxRuntime: Double?
    /// Number of threads that compute.
    package let threads: Int?
    /// How much lower the run's priority is, as nice(1): 0 to 19.
    package let nice: Int?
    /// Size limit of the cache, in the syntax of `--cache-max`.
    package let cacheMax: String?

    static let keys = ["max_runtime", "threads", "nice", "cache_max"]

    init(_ keys: PipelineKeys) throws {
        maxRuntime = try keys.duration("max_runtime")
        threads = try keys.integer("threads")
        nice = try keys.integer("nice", from: 0)
        if let nice, nice > 19 { throw keys.bad("`nice` must be 0 to 19", keys.mapping["nice"]) }
        cacheMax = try keys.string("cache_max")
        if let cacheMax {
            do { _ = try Library.size(cacheMax) } catch {
                throw keys.bad("`cache_max`: \(Failure(error).message)", keys.mapping["cache_max"])
            }
        }
    }
}
