internal import Foundation
internal import Store

/// An indexed recording under one of its paths, as printed by `longtake ls` and `show`.
package struct RecordingSummary: Sendable, Codable {
    /// Recording ID.
    package let id: String
    /// Index ID.
    package let index: String
    /// The file's name.
    package let name: String
    /// The file's current path, as far as the catalog knows.
    package let path: String
    /// The path's bytes in base64 if they are not UTF-8, else nil.
    package let pathBase64: String?
    /// The state of the file.
    package let file: FileState
    /// Number of frames.
    package let frames: Int
    /// Duration of the indexed part in seconds; nil if unknown.
    package let duration: Double?
    /// Seconds from the start of the file's timeline to the first frame; nil if unknown.
    package let start: Double?
    /// Size of the index's own files in bytes.
    package let bytes: Int64
    /// Size of its prefix cache in bytes.
    package internal(set) var prefixCacheBytes: Int64 = 0
    /// The state of the index.
    package let state: IndexState
    /// Name of the model.
    package let model: String
    /// How frames were sampled, as in the index key.
    package let sampling: String
    /// The record's name, as in the index key.
    package let record: String
    /// When the index was created, in RFC 3339.
    package let created: String
    /// Number of segments.
    package let segments: Int
    /// Which frames' patches are kept: `all` or `sample`.
    package let patches: String
    /// Warnings of the runs that wrote the index.
    package let warnings: [String]
    /// Counts of what happened while indexing, by name.
    package let counters: [String: Int]
    /// End of the indexed part in file time; nil if the duration is unknown.
    package var end: Double? { duration.map(clock.fileTime) }
    var clock: RecordingClock { RecordingClock(start: start ?? 0) }
    /// Sampling method and frames per second, such as "grid 1.0".
    package var samplingName: String { sampling.split(separator: ":").prefix(2).joined(separator: " ") }

    private enum CodingKeys: String, CodingKey {
        case id, index, name, path, file, frames, duration, start, bytes, state, model, sampling, record, created,
            segments
        case patches, warnings, counters
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
    }

    /// Number of bytes freed if it is removed.
    package var allBytes: Int64 { bytes + prefixCacheBytes }

    /// True if there is an index that can be asked.
    package var isFinished: Bool { state == .complete || state == .partial }
}

extension RecordingSummary {
    /// Returns the shortest names that distinguish the paths of these recordings.
    package static func labels(_ all: [RecordingSummary]) -> PathLabels { PathLabels(all.map(\.path)) }
}
