internal import Foundation
internal import Store

/// What a unit that indexes publishes beside its segments.
struct ClusterPart: Codable {
    static let name = "part.json"

    /// What the manifest says if the recording ends in this part.
    let manifest: Manifest
    /// The catalog's row of the recording.
    let row: Catalog.RecordingRow
    /// True if the recording goes on after this part.
    let isFull: Bool
    /// Number of frames in the part.
    let frames: Int

    func write(to folder: String) throws { try ClusterFile.write(self, to: folder + "/" + Self.name) }
}

/// What a unit that asks publishes.
struct ClusterAnswers: Codable {
    static let name = "answers.json"

    let rows: [Catalog.RunAnswerRow]

    func write(to folder: String) throws { try ClusterFile.write(self, to: folder + "/" + Self.name) }
}

/// The JSON files in what units publish.
enum ClusterFile {
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try SharedFile.replace(path, with: Array(try encoder.encode(value)))
    }

    static func read<Value: Decodable>(_ path: String) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw Failure(code: "damaged", message: "\(path): not what a worker publishes", exitCode: Exit.damaged)
        }
    }
}

/// The published parts of one recording's index, in order.
struct ClusterParts {
    private let paths: [String]
    private let name: String

    /// - Throws: `Failure` `part_failed` if a part can never be done, `part_missing` if one is not done yet.
    init(_ run: ClusterRun, keys: [String], name: String) throws {
        self.name = name
        for key in keys where !run.isPublished(key) {
            if let failure = run.failure(of: key) {
                throw Failure(
                    code: "part_failed", message: "\(name): not asked about, it was not indexed: \(failure.message)",
                    exitCode: Exit.input)
            }
            throw Failure(
                code: "part_missing", message: "\(name): not indexed yet; run the shards that index first",
                exitCode: Exit.retry)
        }
        paths = keys.map(run.resultPath)
    }

    /// Extracts all parts into folders below `folder`; returns what they say.
    ///
    /// - Throws: `StoreError` `damaged` for a part whose bytes changed.
    func extract(into folder: String) throws -> [(part: ClusterPart, folder: String)] {
        var parts: [(ClusterPart, String)] = []
        for (number, path) in paths.enumerated() {
            let place = "\(folder)/\(number)"
            try FileManager.default.createDirectory(
                atPath: place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            _ = try CheckedArchive.extract(path, into: place)
            let part: ClusterPart = try ClusterFile.read(place + "/" + ClusterPart.name)
            parts.append((part, place))
            // The recording ended here, or could not be read on: one machine would have stopped, too.
            if !part.isFull { break }
        }
        return parts
    }
}

extension Library {
    /// Makes an index of its parts, and adds it to the catalog.
    ///
    /// - Throws: `StoreError` `damaged` for a part whose bytes changed, and as `CacheDirectory.assemble`.
    func assemble(_ parts: ClusterParts) throws {
        let folder = cache.path + "/assembly-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try? FileManager.default.removeItem(atPath: folder)
        let extracted = try parts.extract(into: folder)
        guard let last = extracted.last?.part else { return }
        _ = try cache.assemble(
            last.manifest, frames: extracted.reduce(0) { $0 + $1.part.frames }, from: extracted.map(\.folder))
        try register(last.row)
    }
}
