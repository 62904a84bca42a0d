internal import Store

/// The contents of the cache, as printed by `longtake cache stats`.
package struct CacheStats: Sendable, Codable {
    /// Path of the cache folder.
    package let path: String
    /// Size of the cache in bytes.
    package let bytes: Int64
    /// Size limit of the cache in bytes.
    package let maxBytes: Int64
    /// Free space of the file system in bytes.
    package let freeBytes: Int64
    /// Number of complete and partial indexes.
    package let indexes: Int
    /// Number of frames in them.
    package let frames: Int
    /// Number of indexes with the patches of all their frames.
    package let indexesWithPatches: Int
    /// Size of their patch files in bytes.
    package let patchBytes: Int64
    /// Size of the derived files (prefix caches) in bytes.
    package let derivedBytes: Int64
    /// Size of the trash in bytes.
    package let trashBytes: Int64
    /// Number of indexes whose runs did not finish.
    package let unfinished: Int
    /// Their size in bytes.
    package let unfinishedBytes: Int64
    /// Number of indexes of other format versions.
    package let otherVersions: Int
    /// Their size in bytes.
    package let otherVersionsBytes: Int64
    /// Number of indexes that are damaged or cannot be read.
    package let damaged: Int
    /// Number of indexes being written.
    package let beingWritten: Int

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
package struct CacheVerification: Sendable, Codable {
    /// Damage found in one file.
    package struct Damage: Sendable, Codable {
        /// Index ID; empty for the catalog.
        package let index: String
        /// The recording's file name, if known.
        package let name: String?
        /// Path of the damaged file.
        package let file: String
        /// The damaged frame; nil if the whole file is damaged.
        package let frame: Int?
        /// What is wrong with the file.
        package let reason: String

        init(_ damage: CacheDamage) {
            index = damage.indexID
            name = damage.name
            file = damage.file
            frame = damage.frame
            reason = damage.reason
        }

        init(catalog: String, reason: String) {
            index = ""
            name = nil
            file = catalog
            frame = nil
            self.reason = reason
        }
    }

    /// Number of indexes checked.
    package let indexes: Int
    /// Number of unfinished indexes.
    package let unfinished: Int
    /// Number of indexes of other format versions, which are not checked.
    package let otherVersions: Int
    /// Number of files checked.
    package let files: Int
    /// Number of frames in them.
    package let frames: Int
    /// Number of bytes whose checksums were computed.
    package let bytesRead: Int64
    /// All damage found.
    package let damage: [Damage]
    /// True if no damage was found.
    package var isClean: Bool { damage.isEmpty }

    private enum CodingKeys: String, CodingKey {
        case indexes, unfinished, files, frames, damage
        case otherVersions = "other_versions"
        case bytesRead = "bytes_read"
    }
}

/// What pruning the cache removed, or would remove.
package struct CachePruning: Sendable, Codable {
    /// Something that was removed.
    package struct Item: Sendable, Codable {
        /// What it is: `leftover`, `derived`, `patches`, `index`, `older_index`, `unfinished` or `missing`.
        package let kind: String
        /// Path of the file or folder.
        package let path: String
        /// Index ID; nil if it belonged to no index.
        package let index: String?
        /// The recording's file name, if known.
        package let name: String?
        /// The recording's path, if the catalog has it.
        package let recording: String?
        /// Size in bytes.
        package let bytes: Int64
    }

    /// An index that could not be removed.
    package struct Pinned: Sendable, Codable {
        /// Index ID.
        package let index: String
        /// The recording's file name, if known.
        package let name: String?
        /// Size in bytes.
        package let bytes: Int64
        /// Why it was kept.
        package let reason: String
    }

    /// What was removed.
    package let removed: [Item]
    /// Indexes that had to be kept although room was needed.
    package let pinned: [Pinned]
    /// Size of the cache before, in bytes.
    package let bytesBefore: Int64
    /// Size of the cache afterwards, in bytes.
    package let bytesAfter: Int64
    /// Size limit of the cache in bytes.
    package let maxBytes: Int64
    /// With `--missing-for`: recordings kept because their folder is missing, as on a disk that is not mounted.
    package let unreachable: Int
    /// True if nothing was removed because it was a dry run.
    package let isDryRun: Bool
    /// True if the cache is now within its size limit.
    package var fits: Bool { bytesAfter <= maxBytes }

    private enum CodingKeys: String, CodingKey {
        case removed, pinned, unreachable
        case bytesBefore = "bytes_before"
        case bytesAfter = "bytes_after"
        case maxBytes = "max_bytes"
        case isDryRun = "dry_run"
    }
}

/// The result of repairing the cache.
package struct CacheRepairs: Sendable, Codable {
    /// The repair of one index.
    package struct Item: Sendable, Codable {
        /// Index ID.
        package let index: String
        /// The recording's file name, if known.
        package let name: String?
        /// The recording's path, if the catalog has it.
        package let path: String?
        /// `shortened`, `reopened`, `removed` or `skipped`.
        package let action: String
        /// Number of frames left in the index.
        package let frames: Int
        /// The damage that was found.
        package let damage: [CacheVerification.Damage]
    }

    /// The repaired or skipped indexes.
    package let repaired: [Item]
    /// Number of recordings in the catalog now.
    package let recordings: Int
    /// Notes about a damaged catalog that was replaced.
    package let notes: [String]
    /// True if some damage was left, in an index that another process uses or that could not be read.
    package var isPartial: Bool { repaired.contains { $0.action == CacheRepair.Action.skipped.rawValue } }

    private enum CodingKeys: String, CodingKey { case repaired, recordings, notes }
}
