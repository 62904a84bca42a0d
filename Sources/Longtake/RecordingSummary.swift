internal import Foundation
internal import Store

/// An indexed recording, as `longtake ls` and `show` print it.
public struct RecordingSummary: Sendable, Codable {
    public let id: String
    public let index: String
    public let name: String
    public let path: String
    public let pathBase64: String?
    public let frames: Int
    public let duration: Double?
    public let bytes: Int64
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
    /// "grid 1.0": how and how many frames per second.
    public var samplingName: String { sampling.split(separator: ":").prefix(2).joined(separator: " ") }

    private enum CodingKeys: String, CodingKey {
        case id, index, name, path, frames, duration, bytes, state, model, sampling, record, created, segments, patches,
            warnings
        case counters
        case pathBase64 = "path_b64"
    }

    init(_ manifest: Manifest) {
        id = Library.id(content: manifest.key.content)
        index = manifest.key.id
        name = manifest.name
        path = manifest.path
        pathBase64 = manifest.pathBase64
        frames = manifest.frames
        duration = manifest.duration
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
}

extension Library {
    /// All indexes, by name.
    public func recordings() throws -> [RecordingSummary] { try cache.indexes().map(RecordingSummary.init) }

    /// The indexes of one recording: by id, start of an id, or the path it was indexed from.
    ///
    /// - Throws: `LongtakeError` `unknown_recording`.
    public func recordings(matching name: String) throws -> [RecordingSummary] {
        var found = try indexes(matching: name)
        if found.isEmpty {
            // Under this path, or under another one of the same content.
            let path = name == "-" ? "" : InputPath(name).absolute.description
            let known = Set(try catalog.all().filter { $0.path == path }.map(\.indexID))
            found = try cache.indexes().filter { known.contains($0.key.id) }
        }
        if found.isEmpty { found = try cache.indexes().filter { $0.path == InputPath(name).absolute.description } }
        guard !found.isEmpty else { throw LongtakeError.unknown(name) }
        return found.map(RecordingSummary.init)
    }

    /// Removes the indexes of a recording and what the catalog knows of them; returns what was removed.
    public func remove(_ name: String) throws -> [RecordingSummary] {
        let found = try recordings(matching: name)
        for recording in found {
            try catalog.remove(indexID: recording.index)
            try cache.remove(indexID: recording.index)
        }
        return found
    }
}
