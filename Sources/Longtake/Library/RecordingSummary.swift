internal import Foundation
internal import Store

/// An indexed recording under one of its paths, as `longtake ls` and `show` print it.
public struct RecordingSummary: Sendable, Codable {
    public let id: String
    public let index: String
    public let name: String
    /// Where the file is now, as far as the catalog knows.
    public let path: String
    public let pathBase64: String?
    public let file: FileState
    public let frames: Int
    public let duration: Double?
    /// Seconds from the start of the file's time line to the first picture; nil where the index does not know it.
    public let start: Double?
    /// Of the index's own files.
    public let bytes: Int64
    /// What is kept of what questions about it share.
    public internal(set) var prefixCacheBytes: Int64 = 0
    /// `complete`, `partial`, `indexing` (a process is at it) or `interrupted` (the next run goes on).
    public let state: String
    public let model: String
    public let sampling: String
    public let record: String
    public let created: String
    public let segments: Int
    /// Which frames' patches are kept: `all` or `sample`.
    public let patches: String
    public let warnings: [String]
    public let counters: [String: Int]
    /// The file's time of the end of what is indexed, where its length is known.
    public var end: Double? { duration.map(clock.fileTime) }
    var clock: RecordingClock { RecordingClock(start: start ?? 0) }
    /// "grid 1.0": how and how many frames per second.
    public var samplingName: String { sampling.split(separator: ":").prefix(2).joined(separator: " ") }

    private enum CodingKeys: String, CodingKey {
        case id, index, name, path, file, frames, duration, start, bytes, state, model, sampling, record, created,
            segments
        case patches, warnings, counters
        case pathBase64 = "path_b64"
        case prefixCacheBytes = "prefix_cache_bytes"
    }

    init(_ manifest: Manifest, _ place: RecordingPlace) {
        id = Library.id(content: manifest.key.content)
        index = manifest.key.id
        name = place.path.bytes.isEmpty ? manifest.name : String(decoding: place.path.name, as: UTF8.self)
        path = place.path.description
        pathBase64 = place.path.base64
        file = place.state
        frames = manifest.frames
        duration = manifest.duration
        start = manifest.start
        bytes = manifest.bytes
        patches = manifest.patches.kept.rawValue
        state = manifest.state
        model = manifest.modelName
        sampling = manifest.key.sampling
        record = manifest.key.record
        created = manifest.created
        segments = manifest.segments.count
        warnings = manifest.warnings
        counters = manifest.counters
    }

    /// - Parameter manifest: of an index that is being extended.
    init(_ underway: UnderwayIndex, _ manifest: Manifest?, _ place: RecordingPlace?) {
        let content = underway.key?.content ?? place?.row?.content ?? manifest?.key.content
        id = content.map { Library.id(content: $0) } ?? ""
        index = underway.indexID
        let path = place?.path ?? InputPath("")
        name = path.bytes.isEmpty ? manifest?.name ?? "" : String(decoding: path.name, as: UTF8.self)
        self.path = path.description
        pathBase64 = path.base64
        file = place?.state ?? .pipe
        frames = underway.frames
        duration = nil
        start = manifest?.start
        bytes = underway.bytes
        patches = manifest?.patches.kept.rawValue ?? ""
        state = underway.isBeingWritten ? "indexing" : "interrupted"
        model = manifest?.modelName ?? ""
        sampling = underway.key?.sampling ?? manifest?.key.sampling ?? ""
        record = underway.key?.record ?? manifest?.key.record ?? ""
        created = manifest?.created ?? place?.row?.added ?? ""
        segments = underway.segments
        warnings = []
        counters = [:]
    }

    /// What goes when it is removed.
    public var allBytes: Int64 { bytes + prefixCacheBytes }

    /// Whether there is an index that can be asked.
    public var isFinished: Bool { state == "complete" || state == "partial" }
}

extension RecordingSummary {
    /// Short names that tell the paths of these apart.
    public static func labels(_ all: [RecordingSummary]) -> PathLabels { PathLabels(all.map(\.path)) }
}
