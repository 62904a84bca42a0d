internal import Foundation
internal import Store

/// An indexed recording under one of its paths, as printed by `longtake ls` and `show`.
public struct RecordingSummary: Sendable, Codable {
    /// Recording ID.
    public let id: String
    /// Index ID.
    public let index: String
    /// The file's name.
    public let name: String
    /// The file's current path, as far as the catalog knows.
    public let path: String
    /// The path's bytes in base64 if they are not UTF-8, else nil.
    public let pathBase64: String?
    /// The state of the file.
    public let file: FileState
    /// Number of frames.
    public let frames: Int
    /// Duration of the indexed part in seconds; nil if unknown.
    public let duration: Double?
    /// Seconds from the start of the file's timeline to the first frame; nil if unknown.
    public let start: Double?
    /// Size of the index's own files in bytes.
    public let bytes: Int64
    /// Size of its prefix cache in bytes.
    public internal(set) var prefixCacheBytes: Int64 = 0
    /// The state of the index.
    public let state: IndexState
    /// Name of the model.
    public let model: String
    /// How frames were sampled, as in the index key.
    public let sampling: String
    /// Number of frames that refer to the record of an earlier frame; nil if the index allows no references.
    public let framesReused: Int?
    /// The record's name, as in the index key.
    public let record: String
    /// When the index was created, in RFC 3339.
    public let created: String
    /// Number of segments.
    public let segments: Int
    /// Which frames' patches are kept: `all` or `sample`.
    public let patches: String
    /// Warnings of the runs that wrote the index.
    public let warnings: [String]
    /// Counts of what happened while indexing, by name.
    public let counters: [String: Int]
    /// The camera's name; nil if unknown.
    public let camera: String?
    /// When it was recorded; nil if unknown.
    public let recorded: RecordedTime?
    /// Shows file times as times of day; not in the JSON.
    private var wall: WallClock?
    /// End of the indexed part in file time; nil if the duration is unknown.
    public var end: Double? { duration.map(clock.fileTime) }
    /// Converts its times.
    package var clock: RecordingClock { RecordingClock(start: start ?? 0, wall: wall) }
    /// Sampling method and frames per second, such as "grid 1.0"; "keyframes" alone, since no rate applies.
    public var samplingName: String {
        let parts = sampling.split(separator: ":")
        return parts.prefix(parts.first == "keyframes" ? 1 : 2).joined(separator: " ")
    }

    private enum CodingKeys: String, CodingKey {
        case id, index, name, path, file, frames, duration, start, bytes, state, model, sampling, record, created,
            segments
        case framesReused = "frames_reused"
        case patches, warnings, counters, camera
        case recorded = "clock"
        case pathBase64 = "path_b64"
        case prefixCacheBytes = "prefix_cache_bytes"
    }

    init(_ manifest: Manifest, _ location: RecordingLocation) {
        id = Library.id(content: manifest.key.content)
        index = manifest.key.id
        name = location.path.bytes.isEmpty ? manifest.name : String(decoding: location.path.name, as: UTF8.self)
        path = location.path.description
        pathBase64 = location.path.base64
        file = location.state
        frames = manifest.frames
        framesReused = manifest.framesReused
        duration = manifest.duration
        start = manifest.start
        bytes = manifest.bytes
        patches = manifest.patches.kept.rawValue
        state = manifest.indexState
        model = manifest.modelName
        sampling = manifest.key.sampling
        record = manifest.key.record
        created = manifest.created
        segments = manifest.segments.count
        warnings = manifest.warnings
        counters = manifest.counters
        camera = manifest.origin?.camera
        recorded = manifest.recorded
        wall = manifest.clock.wall
    }

    /// Creates the summary of an unfinished index.
    ///
    /// - Parameter manifest: the manifest of an index that is being extended, else nil.
    init(_ underway: UnderwayIndex, _ manifest: Manifest?, _ location: RecordingLocation?) {
        let content = underway.key?.content ?? location?.row?.content ?? manifest?.key.content
        id = content.map { Library.id(content: $0) } ?? ""
        index = underway.indexID
        let path = location?.path ?? InputPath("")
        name = path.bytes.isEmpty ? manifest?.name ?? "" : String(decoding: path.name, as: UTF8.self)
        self.path = path.description
        pathBase64 = path.base64
        file = location?.state ?? .pipe
        frames = underway.frames
        framesReused = nil
        duration = nil
        start = manifest?.start
        bytes = underway.bytes
        patches = manifest?.patches.kept.rawValue ?? ""
        state = underway.isBeingWritten ? .indexing : .interrupted
        model = manifest?.modelName ?? ""
        sampling = underway.key?.sampling ?? manifest?.key.sampling ?? ""
        record = underway.key?.record ?? manifest?.key.record ?? ""
        created = manifest?.created ?? location?.row?.added ?? ""
        segments = underway.segments
        warnings = []
        counters = [:]
        camera = manifest?.origin?.camera
        recorded = manifest?.recorded
        wall = manifest?.clock.wall
    }

    /// When it started, for people: 2026-11-29 04:00:00; nil if unknown.
    package var startText: String? { wall?.text(0) }

    /// Number of bytes freed if it is removed.
    public var allBytes: Int64 { bytes + prefixCacheBytes }

    /// True if there is an index that can be asked.
    public var isFinished: Bool { state == .complete || state == .partial }
}

extension RecordingSummary {
    /// Returns the shortest names that distinguish the paths of these recordings.
    package static func labels(_ all: [RecordingSummary]) -> PathLabels { PathLabels(all.map(\.path)) }
}
