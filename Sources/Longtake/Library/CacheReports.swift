internal import Store

/// What is in the cache, as `longtake cache stats` prints it.
public struct CacheStats: Sendable, Codable {
    public let path: String
    public let bytes: Int64
    /// What it may hold.
    public let maxBytes: Int64
    public let freeBytes: Int64
    public let indexes: Int
    public let frames: Int
    /// Of the indexes, those whose patches are all there.
    public let indexesWithPatches: Int
    public let patchBytes: Int64
    public let derivedBytes: Int64
    public let trashBytes: Int64
    /// Segments of runs that did not come to their end.
    public let unfinished: Int
    public let unfinishedBytes: Int64
    /// Indexes of other format versions.
    public let otherVersions: Int
    public let otherVersionsBytes: Int64
    public let damaged: Int
    public let beingWritten: Int

    private enum CodingKeys: String, CodingKey {
        case path, bytes, indexes, frames, unfinished, damaged
        case maxBytes = "max_bytes"
        case freeBytes = "free_bytes"
        case indexesWithPatches = "indexes_with_patches"
        case patchBytes = "patch_bytes"
        case derivedBytes = "derived_bytes"
        case trashBytes = "trash_bytes"
        case unfinishedBytes = "unfinished_bytes"
        case otherVersions = "other_versions"
        case otherVersionsBytes = "other_versions_bytes"
        case beingWritten = "being_written"
    }
}

/// What checking the cache found.
public struct CacheVerification: Sendable, Codable {
    public struct Damage: Sendable, Codable {
        /// Empty for the catalogue.
        public let index: String
        public let name: String?
        public let file: String
        /// Nil where the whole file is meant.
        public let frame: Int?
        public let reason: String

        init(_ damage: CacheDamage) {
            index = damage.indexID
            name = damage.name
            file = damage.file
            frame = damage.frame
            reason = damage.reason
        }

        init(catalogue: String, reason: String) {
            index = ""
            name = nil
            file = catalogue
            frame = nil
            self.reason = reason
        }
    }

    public let indexes: Int
    public let unfinished: Int
    public let otherVersions: Int
    public let files: Int
    public let frames: Int
    public let bytesRead: Int64
    public let damage: [Damage]
    public var isClean: Bool { damage.isEmpty }

    private enum CodingKeys: String, CodingKey {
        case indexes, unfinished, files, frames, damage
        case otherVersions = "other_versions"
        case bytesRead = "bytes_read"
    }
}

/// What pruning the cache removed, or would remove.
public struct CachePruning: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public let kind: String
        public let path: String
        public let index: String?
        public let name: String?
        /// The recording's path, where the catalog knows it.
        public let recording: String?
        public let bytes: Int64
    }

    public struct Pinned: Sendable, Codable {
        public let index: String
        public let name: String?
        public let bytes: Int64
        public let reason: String
    }

    public let removed: [Item]
    /// What had to stay, though it was in the way.
    public let pinned: [Pinned]
    public let bytesBefore: Int64
    public let bytesAfter: Int64
    public let maxBytes: Int64
    /// With `--missing-for`: recordings that stay because their folder is missing, as that of a disk that is not mounted.
    public let unreachable: Int
    public let isDryRun: Bool
    /// Whether the cache has at most what it may have now.
    public var fits: Bool { bytesAfter <= maxBytes }

    private enum CodingKeys: String, CodingKey {
        case removed, pinned, unreachable
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case maxBytes = "max_bytes"
        case isDryRun = "dry_run"
    }
}

/// What repairing the cache did.
public struct CacheRepairs: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public let index: String
        public let name: String?
        /// The recording's path, where the catalog knows it.
        public let path: String?
        /// `shortened`, `reopened`, `removed` or `skipped`.
        public let action: String
        public let frames: Int
        public let damage: [CacheVerification.Damage]
    }

    public let repaired: [Item]
    /// Recordings in the catalogue now.
    public let recordings: Int
    /// What became of a catalogue that was damaged.
    public let notes: [String]
    /// Some damage is in what another process holds.
    public var isPartial: Bool { repaired.contains { $0.action == CacheRepair.Action.skipped.rawValue } }

    private enum CodingKeys: String, CodingKey { case repaired, recordings, notes }
}
