import Foundation
import Glibc

/// Which frames' patches an index has, and in which files.
///
/// `all`: one `NNNNNN.pat` per segment, in order. `sample`: `sample.pat`, or no file in an index without frames.
public struct PatchFiles: Sendable, Codable, Equatable {
    /// Which frames' patches are kept.
    public let kept: PatchKeeping
    /// The patch files.
    public let files: [SegmentSummary]

    /// Creates a list of patch files.
    public init(kept: PatchKeeping, files: [SegmentSummary] = []) {
        self.kept = kept
        self.files = files
    }
}

/// The files a writer has sealed; the manifest lists exactly these.
public struct IndexContents: Sendable, Equatable {
    /// Number of frames.
    public let frames: Int
    /// The frame files.
    public let segments: [SegmentSummary]
    /// The patch files.
    public let patches: PatchFiles

    /// Creates the contents from these files.
    public init(frames: Int, segments: [SegmentSummary], patches: PatchFiles) {
        self.frames = frames
        self.segments = segments
        self.patches = patches
    }
}

/// The description of one index: everything except its frames.
///
/// `name` is the recording's file name, `pathBase64` its path's bytes if they are not UTF-8, `modified` in nanoseconds
/// since 1970, `timeBase` numerator and denominator, `state` `complete` or `partial`, `duration` in seconds, `created`
/// in RFC 3339.
public struct Manifest: Sendable, Codable, Equatable {
    /// The key of the index.
    public var key: IndexKey
    /// The layout of its records.
    public var layout: RecordLayout
    /// The recording's file name.
    public var name: String
    /// The path it was indexed from, as text.
    public var path: String
    /// The path's bytes in base64 if they are not UTF-8, else nil.
    public var pathBase64: String?
    /// Size of the recording's file in bytes.
    public var fileSize: Int64
    /// Modification time (mtime) of the file.
    public var modified: Int64
    /// Inode of the file.
    public var inode: UInt64
    /// Time base of the video stream: numerator, denominator.
    public var timeBase: [Int]
    /// Number of frames.
    public var frames: Int
    /// The frame files.
    public var segments: [SegmentSummary]
    /// The patch files.
    public var patches: PatchFiles
    /// `complete` or `partial`.
    public var state: String
    /// Warnings of the runs that wrote the index.
    public var warnings: [String]
    /// Counts of what happened while indexing, by name.
    public var counters: [String: Int]
    /// Duration of the recording in seconds; nil if unknown.
    public var duration: Double?
    /// Seconds from the start of the file's timeline to its first frame; nil if unknown.
    public var start: Double?
    /// The file's change time (ctime) in nanoseconds since 1970; nil if unknown.
    public var changed: Int64?
    /// When the index was created.
    public var created: String
    /// Name of the model.
    public var modelName: String
    /// Where and when the recording was made; nil in an index of an earlier version.
    public var origin: RecordingOrigin?

    /// Creates a manifest with these values for the given contents.
    public init(
        key: IndexKey, layout: RecordLayout, name: String, path: String, pathBase64: String? = nil, fileSize: Int64,
        modified: Int64, inode: UInt64, timeBase: [Int], contents: IndexContents,
        state: String = "complete", warnings: [String] = [], counters: [String: Int] = [:], duration: Double? = nil,
        start: Double? = nil, changed: Int64? = nil, created: String, modelName: String,
        origin: RecordingOrigin? = nil
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
        self.origin = origin
    }

    /// The path it was indexed from, as bytes of the file system.
    public var pathBytes: [UInt8] { PathText.bytes(path, base64: pathBase64) }

    /// Total size of the frame and patch files in bytes.
    public var bytes: Int64 { (segments + patches.files).reduce(0) { $0 + Int64($1.bytes) } }

    /// Number of frames that refer to the record of an earlier frame; nil if the index allows no references.
    public var framesReused: Int? {
        key.allowsReferences ? segments.reduce(0) { $0 + ($1.reused ?? 0) } : nil
    }

    /// True if every frame's patches are kept; a sample of a short recording has all of them too.
    public var hasAllPatches: Bool {
        switch patches.kept {
        case .all, .none: true
        case .sample: patches.files.reduce(0) { $0 + $1.count } >= frames
        }
    }

    /// The names of all files of the index, including the manifest.
    var fileNames: Set<String> { Set((segments + patches.files).map(\.file) + [ManifestFile.name]) }
}

/// `manifest.json`: the manifest in an envelope {"checksum", "format", "manifest"}.
///
/// The checksum is XXH3-64 in hex over the manifest's canonical JSON (sorted keys, no spaces), so the file may be
/// reformatted but not changed.
package enum ManifestFile {
    static let name = "manifest.json"
    static let maxBytes = 64 << 20

    private struct Version: Codable { var format: Int }

    private struct Envelope: Codable {
        var format: Int
        var checksum: String
        var manifest: Manifest
    }

    /// Reads and verifies `<directory>/manifest.json`; throws `.notFound`, `.damaged` or `.newerFormat`.
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

    static func decode(_ data: Data, path: String) throws -> Manifest {
        guard let version = try? JSONDecoder().decode(Version.self, from: data) else {
            throw StoreError.damagedManifest(path, "no manifest")
        }
        let known = IndexKey.knownFormatVersions
        guard version.format <= known.upperBound else {
            throw StoreError.newer(path, found: version.format, known: known.upperBound)
        }
        guard version.format > 0 else { throw StoreError.damagedManifest(path, "format") }
        guard version.format >= known.lowerBound else {
            throw StoreError.older(path, found: version.format, known: known.lowerBound)
        }
        guard let envelope = try? JSONDecoder().decode(Envelope.self, from: data)
        else { throw StoreError.damagedManifest(path, "fields") }
        guard let canonical = try? canonicalJSON(envelope.manifest),
            Checksum.hex(Checksum.of(canonical)) == envelope.checksum
        else { throw StoreError.damagedManifest(path, "checksum") }
        guard envelope.manifest.key.formatVersion == envelope.format else {
            throw StoreError.damagedManifest(path, "format")
        }
        guard envelope.manifest.layout.isConsistent else { throw StoreError.damagedManifest(path, "layout") }
        guard envelope.manifest.isConsistent else { throw StoreError.damagedManifest(path, "files") }
        return envelope.manifest
    }

    /// Writes `<directory>/manifest.json`: temporary file, flush, rename, flush of the directory.
    package static func save(_ manifest: Manifest, directory: String) throws {
        let checksum = Checksum.hex(Checksum.of(try canonicalJSON(manifest)))
        let envelope = Envelope(format: manifest.key.formatVersion, checksum: checksum, manifest: manifest)
        let bytes = try canonicalJSON(envelope) + [10]
        try Posix.replace(directory + "/" + name, with: bytes)
    }
}

extension Manifest {
    /// Upper bounds on the bytes of an index and of one frame, so that sums over all indexes of a cache fit an `Int64`.
    private static let (mostBytes, mostRecordBytes) = (1 << 46, 1 << 32)
    /// Upper bound on the length of a recording, in seconds.
    private static let mostSeconds = 1e12

    /// Returns true if these values are plausible for an index.
    public static func isPossible(frames: Int, bytes: Int64, duration: Double?) -> Bool {
        (0...Int(UInt32.max)).contains(frames) && (0...Int64(mostBytes)).contains(bytes)
            && (0...mostSeconds).contains(duration ?? 0)
    }

    /// False for a manifest with implausible values or lists that do not match each other.
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
            (0...Manifest.mostSeconds).contains(start ?? 0), fileSize >= 0, origin?.isConsistent ?? true
        else { return false }
        return switch patches.kept {
        case .none: patches.files.isEmpty && !layout.hasPatches
        case .all: layout.hasPatches && patches.files.count == segments.count
        case .sample: layout.hasPatches && patches.files.count == (frames == 0 ? 0 : 1)
        }
    }
}
