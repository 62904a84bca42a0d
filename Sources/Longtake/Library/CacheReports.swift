internal import Store

/// The contents of the cache, as printed by `longtake cache stats`.
public struct CacheStats: Sendable, Codable {
    /// Path of the cache folder.
    public let path: String
    /// Size of the cache in bytes.
    public let bytes: Int64
    /// Size limit of the cache in bytes.
    public let maxBytes: Int64
    /// Free space of the file system in bytes.
    public let freeBytes: Int64
    /// Number of complete and partial indexes.
    public let indexes: Int
    /// Number of frames in them.
    public let frames: Int
    /// Number of indexes with the patches of all their frames.
    public let indexesWithPatches: Int
    /// Size of their patch files in bytes.
    public let patchBytes: Int64
    /// Size of the derived files (prefix caches) in bytes.
    public let derivedBytes: Int64
    /// Size of the trash in bytes.
    public let trashBytes: Int64
    /// Number of indexes whose runs did not finish.
    public let unfinished: Int
    /// Their size in bytes.
    public let unfinishedBytes: Int64
    /// Number of indexes of other format versions.
    public let otherVersions: Int
    /// Their size in bytes.
    public let otherVersionsBytes: Int64
    /// Number of indexes that are damaged or cannot be read.
    public let damaged: Int
    /// Number of indexes being written.
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

/// The result of checking the cache.
public struct CacheVerification: Sendable, Codable {
    /// Damage found in one file.
    public struct Damage: Sendable, Codable {
        /// Index ID; empty for the catalog.
        public let index: String
        /// The recording's file name, if known.
        public let name: String?
        /// Path of the damaged file.
        public let file: String
        /// The damaged frame; nil if the whole file is damaged.
        public let frame: Int?
        /// What is wrong with the file.
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

    /// Number of indexes checked.
    public let indexes: Int
    /// Number of unfinished indexes.
    public let unfinished: Int
    /// Number of indexes of other format versions, which are not checked.
    public let otherVersions: Int
    /// Number of files checked.
    public let files: Int
    /// Number of frames in them.
    public let frames: Int
    /// Number of bytes whose checksums were computed.
    public let bytesRead: Int64
    /// All damage found.
    public let damage: [Damage]
    /// True if no damage was found.
    public var isClean: Bool { damage.isEmpty }

    private enum CodingKeys: String, CodingKey {
        case indexes, unfinished, files, frames, damage
        case otherVersions = "other_versions"
        case bytesRead = "bytes_read"
    }
}

/// What pruning the cache removed, or would remove.
public struct CachePruning: Sendable, Codable {
    /// Something that was removed.
    public struct Item: Sendable, Codable {
        /// What it is: `leftover`, `derived`, `patches`, `index`, `older_index`, `unfinished` or `missing`.
        public let kind: String
        /// Path of the file or folder.
        public let path: String
        /// Index ID; nil if it belonged to no index.
        public let index: String?
        /// The recording's file name, if known.
        public let name: String?
        /// The recording's path, if the catalog has it.
        public let recording: String?
        /// Size in bytes.
        public let bytes: Int64
    }

    /// An index that could not be removed.
    public struct Pinned: Sendable, Codable {
        /// Index ID.
        public let index: String
        /// The recording's file name, if known.
        public let name: String?
        /// Size in bytes.
        public let bytes: Int64
        /// Why it was kept.
        public let reason: String
    }

    /// What was removed.
    public let removed: [Item]
    /// Indexes that had to be kept although room was needed.
    public let pinned: [Pinned]
    /// Size of the cache before, in bytes.
    public let bytesBefore: Int64
    /// Size of the cache afterwards, in bytes.
    public let bytesAfter: Int64
    /// Size limit of the cache in bytes.
    public let maxBytes: Int64
    /// With `--missing-for`: recordings kept because their folder is missing, as on a disk that is not mounted.
    public let unreachable: Int
    /// True if nothing was removed because it was a dry run.
    public let isDryRun: Bool
    /// True if the cache is now within its size limit.
    public var fits: Bool { bytesAfter <= maxBytes }

    private enum CodingKeys: String, CodingKey {
        case removed, pinned, unreachable
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case maxBytes = "max_bytes"
        case isDryRun = "dry_run"
    }
}

/// The result of repairing the cache.
public struct CacheRepairs: Sendable, Codable {
    /// The repair of one index.
    public struct Item: Sendable, Codable {
        /// Index ID.
        public let index: String
        /// The recording's file name, if known.
        public let name: String?
        /// The recording's path, if the catalog has it.
        public let path: String?
        /// `shortened`, `reopened`, `removed` or `skipped`.
        public let action: String
        /// Number of frames left in the index.
        public let frames: Int
        /// The damage that was found.
        public let damage: [CacheVerification.Damage]
    }

    /// The repaired or skipped indexes.
    public let repaired: [Item]
    /// Number of recordings in the catalog now.
    public let recordings: Int
    /// Notes about a damaged catalog that was replaced.
    public let notes: [String]
    /// True if some damage was left, in an index that another process uses or that could not be read.
    public var isPartial: Bool { repaired.contains { $0.action == CacheRepair.Action.skipped.rawValue } }

    private enum CodingKeys: String, CodingKey { case repaired, recordings, notes }
}
