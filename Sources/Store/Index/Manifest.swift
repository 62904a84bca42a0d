import Foundation
import Glibc

/// Which frames' patches an index has, and in which files.
///
/// `all`: one `NNNNNN.pat` for each segment, in their order. `sample`: `sample.pat`, or none in an index without frames.
public struct PatchFiles: Sendable, Codable, Equatable {
    public let kept: PatchKeeping
    public let files: [SegmentSummary]

    public init(kept: PatchKeeping, files: [SegmentSummary] = []) {
        self.kept = kept
        self.files = files
    }
}

/// What a writer has sealed: the manifest names exactly this.
public struct IndexContents: Sendable, Equatable {
    public let frames: Int
    public let segments: [SegmentSummary]
    public let patches: PatchFiles

    public init(frames: Int, segments: [SegmentSummary], patches: PatchFiles) {
        self.frames = frames
        self.segments = segments
        self.patches = patches
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
    public var patches: PatchFiles
    public var state: String
    public var warnings: [String]
    public var counters: [String: Int]
    public var duration: Double?
    /// Seconds from the start of the file's time line to its first picture; nil in indexes that do not know it.
    public var start: Double?
    /// The file's change time (ctime), nanoseconds since 1970; nil in indexes that do not know it.
    public var changed: Int64?
    public var created: String
    public var modelName: String

    public init(
        key: IndexKey, layout: RecordLayout, name: String, path: String, pathBase64: String? = nil, fileSize: Int64,
        modified: Int64, inode: UInt64, timeBase: [Int], contents: IndexContents,
        state: String = "complete", warnings: [String] = [], counters: [String: Int] = [:], duration: Double? = nil,
        start: Double? = nil, changed: Int64? = nil, created: String, modelName: String
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
        frames = contents.frames
        segments = contents.segments
        patches = contents.patches
        self.state = state
        self.warnings = warnings
        self.counters = counters
        self.duration = duration
        self.start = start
        self.changed = changed
        self.created = created
        self.modelName = modelName
    }

    /// The path it was indexed from, as the file system has it.
    public var pathBytes: [UInt8] { PathText.bytes(path, base64: pathBase64) }

    /// The bytes of all files with frames.
    public var bytes: Int64 { (segments + patches.files).reduce(0) { $0 + Int64($1.bytes) } }

    /// Whether each frame's patches are there: in a sample too, when the recording is short.
    public var hasAllPatches: Bool {
        switch patches.kept {
        case .all, .none: true
        case .sample: patches.files.reduce(0) { $0 + $1.count } >= frames
        }
    }

    /// The names of all files the manifest speaks of.
    var fileNames: Set<String> { Set((segments + patches.files).map(\.file) + [ManifestFile.name]) }
}

/// `manifest.json`: the manifest in an envelope {"checksum", "format", "manifest"}.
///
/// The checksum is XXH3-64 in hex over the manifest's canonical JSON (sorted keys, no spaces), so the file may be
/// reformatted but not changed.
package enum ManifestFile {
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
            descriptor = try Posix.openRegular(path, O_RDONLY)
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
        guard version.format > 0 else { throw StoreError.damagedManifest(path, "format") }
        guard version.format == IndexKey.currentFormatVersion else {
            throw StoreError.older(path, found: version.format, known: IndexKey.currentFormatVersion)
        }
        guard let envelope = try? JSONDecoder().decode(Envelope.self, from: data)
        else { throw StoreError.damagedManifest(path, "fields") }
        guard let canonical = try? canonicalJSON(envelope.manifest),
            Checksum.hex(Checksum.of(canonical)) == envelope.checksum
        else { throw StoreError.damagedManifest(path, "checksum") }
        guard envelope.manifest.layout.isConsistent else { throw StoreError.damagedManifest(path, "layout") }
        guard envelope.manifest.isConsistent else { throw StoreError.damagedManifest(path, "files") }
        return envelope.manifest
    }

    /// Writes `<directory>/manifest.json`: temporary file, flush, rename, flush of the directory.
    package static func save(_ manifest: Manifest, directory: String) throws {
        let checksum = Checksum.hex(Checksum.of(try canonicalJSON(manifest)))
        let envelope = Envelope(format: IndexKey.currentFormatVersion, checksum: checksum, manifest: manifest)
        let bytes = try canonicalJSON(envelope) + [10]
        try Posix.replace(directory + "/" + name, with: bytes)
    }
}

extension Manifest {
    /// More bytes than an index has, in one whole or in one frame: sums over all indexes of a cache stay within an `Int64`.
    private static let (mostBytes, mostRecordBytes) = (1 << 46, 1 << 32)
    /// More seconds than a recording has.
    private static let mostSeconds = 1e12

    /// Whether such numbers can be an index's.
    public static func isPossible(frames: Int, bytes: Int64, duration: Double?) -> Bool {
        (0...Int(UInt32.max)).contains(frames) && (0...Int64(mostBytes)).contains(bytes)
            && (0...mostSeconds).contains(duration ?? 0)
    }

    /// False for a manifest whose numbers cannot be an index's, or whose lists do not fit each other.
    fileprivate var isConsistent: Bool {
        let files = segments + patches.files
        guard
            files.allSatisfy({
                Manifest.isPossible(frames: $0.count, bytes: Int64($0.bytes), duration: Double($0.first))
            }),
            files.reduce(0.0, { $0 + Double($1.bytes) }) <= Double(Manifest.mostBytes),
            files.reduce(0.0, { $0 + Double($1.count) }) <= Double(Manifest.mostBytes),
            Manifest.isPossible(frames: frames, bytes: 0, duration: duration),
            layout.recordBytes <= Manifest.mostRecordBytes,
            (0...Manifest.mostSeconds).contains(start ?? 0), fileSize >= 0
        else { return false }
        return switch patches.kept {
        case .none: patches.files.isEmpty && !layout.hasPatches
        case .all: layout.hasPatches && patches.files.count == segments.count
        case .sample: layout.hasPatches && patches.files.count == (frames == 0 ? 0 : 1)
        }
    }
}
