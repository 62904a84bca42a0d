import Foundation
import Glibc

/// One sealed segment of an index.
///
/// `first` is the index of its first frame, `count` its frames, `bytes` the size of the file, `checksum` the footer's
/// XXH3-64 in hex.
public struct SegmentSummary: Sendable, Codable, Equatable {
    public let file: String
    public let first: Int
    public let count: Int
    public let bytes: Int
    public let checksum: String

    public init(file: String, first: Int, count: Int, bytes: Int, checksum: String) {
        self.file = file
        self.first = first
        self.count = count
        self.bytes = bytes
        self.checksum = checksum
    }
}

/// What is known about one index besides its frames.
///
/// `name` is the recording's file name, `pathBase64` its path's bytes when they are no UTF-8, `modified` in
/// nanoseconds since 1970, `timeBase` numerator and denominator, `state` `complete` or `partial`, `duration` in
/// seconds, `created` in RFC 3339.
public struct Manifest: Sendable, Codable, Equatable {
    public var key: IndexKey
    public var layout: RecordLayout
    public var name: String
    public var path: String
    public var pathBase64: String?
    public var fileSize: Int64
    public var modified: Int64
    public var inode: UInt64
    public var timeBase: [Int]
    public var frames: Int
    public var segments: [SegmentSummary]
    public var state: String
    public var warnings: [String]
    public var counters: [String: Int]
    public var duration: Double?
    public var created: String
    public var modelName: String

    public init(
        key: IndexKey, layout: RecordLayout, name: String, path: String, pathBase64: String? = nil, fileSize: Int64,
        modified: Int64, inode: UInt64, timeBase: [Int], frames: Int, segments: [SegmentSummary],
        state: String = "complete", warnings: [String] = [], counters: [String: Int] = [:], duration: Double? = nil,
        created: String, modelName: String
    ) {
        self.key = key
        self.layout = layout
        self.name = name
        self.path = path
        self.pathBase64 = pathBase64
        self.fileSize = fileSize
        self.modified = modified
        self.inode = inode
        self.timeBase = timeBase
        self.frames = frames
        self.segments = segments
        self.state = state
        self.warnings = warnings
        self.counters = counters
        self.duration = duration
        self.created = created
        self.modelName = modelName
    }
}

/// `manifest.json`: the manifest in an envelope {"checksum", "format", "manifest"}.
///
/// The checksum is XXH3-64 in hex over the manifest's canonical JSON (sorted keys, no spaces), so the file may be
/// reformatted but not changed.
enum ManifestFile {
    static let name = "manifest.json"
    private static let maxBytes = 64 << 20

    private struct Version: Codable { var format: Int }

    private struct Envelope: Codable {
        var format: Int
        var checksum: String
        var manifest: Manifest
    }

    /// Reads and checks `<directory>/manifest.json`; throws `.notFound`, `.damaged` or `.newerFormat`.
    static func load(directory: String) throws -> Manifest {
        let path = directory + "/" + name
        let descriptor: Int32
        do {
            descriptor = try Posix.open(path, O_RDONLY | O_NOFOLLOW)
        } catch let error as StoreError where error.code == .notFound {
            throw StoreError.noIndex(directory)
        }
        defer { close(descriptor) }
        let status = try Posix.status(descriptor, path: path)
        guard Posix.isRegular(status), status.st_size <= off_t(maxBytes) else {
            throw StoreError.damagedManifest(path, "size")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let got = try bytes.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: 0, path: path) }
        guard got == bytes.count else { throw StoreError.damagedManifest(path, "truncated") }
        return try decode(Data(bytes), path: path)
    }

    private static func decode(_ data: Data, path: String) throws -> Manifest {
        guard let version = try? JSONDecoder().decode(Version.self, from: data) else {
            throw StoreError.damagedManifest(path, "no manifest")
        }
        guard version.format <= IndexKey.currentFormatVersion else {
            throw StoreError.newer(path, found: version.format, known: IndexKey.currentFormatVersion)
        }
        guard version.format == IndexKey.currentFormatVersion,
            let envelope = try? JSONDecoder().decode(Envelope.self, from: data)
        else { throw StoreError.damagedManifest(path, "fields") }
        guard let canonical = try? canonicalJSON(envelope.manifest),
            Checksum.hex(Checksum.of(canonical)) == envelope.checksum
        else { throw StoreError.damagedManifest(path, "checksum") }
        guard envelope.manifest.layout.isConsistent else { throw StoreError.damagedManifest(path, "layout") }
        return envelope.manifest
    }

    /// Writes `<directory>/manifest.json`: temporary file, flush, rename, flush of the directory.
    static func save(_ manifest: Manifest, directory: String) throws {
        let checksum = Checksum.hex(Checksum.of(try canonicalJSON(manifest)))
        let envelope = Envelope(format: IndexKey.currentFormatVersion, checksum: checksum, manifest: manifest)
        let bytes = try canonicalJSON(envelope) + [10]
        let path = directory + "/" + name
        let temporary = path + ".\(getpid()).tmp"
        try Posix.remove(temporary)
        let descriptor = try Posix.open(temporary, O_WRONLY | O_CREAT | O_EXCL)
        do {
            defer { close(descriptor) }
            try bytes.withUnsafeBytes { try Posix.write(descriptor, $0, path: temporary) }
            try Posix.sync(descriptor, path: temporary)
            if rename(temporary, path) != 0 { throw StoreError.system(errno, "rename", temporary) }
        } catch {
            unlink(temporary)
            throw error
        }
        try Posix.syncDirectory(directory)
    }
}
