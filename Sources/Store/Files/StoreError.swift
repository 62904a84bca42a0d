import Glibc
import SystemCalls

/// An error of the frame cache.
///
/// `code` is stable and meant for programs; `message` is one sentence for people and names the file concerned.
public struct StoreError: Error, CustomStringConvertible, Sendable {
    /// The kinds of error.
    public enum Code: String, Sendable {
        /// A file's content is not what was written.
        case damaged
        /// The file has a newer format version than this program reads.
        case newerFormat = "newer_format"
        /// The file has an older format version than this program reads.
        case olderFormat = "older_format"
        /// The file or index does not exist.
        case notFound = "not_found"
        /// Another process is using it.
        case locked
        /// The disk is full, or a file size limit was reached.
        case noSpace = "no_space"
        /// The cache has reached its size limit and nothing in it can be removed.
        case cacheFull = "cache_full"
        /// The patches of this frame were not kept.
        case notKept = "not_kept"
        /// Another input or output error.
        case io
        /// The call's arguments are invalid, for example a key, layout or size.
        case badKey = "bad_key"
        /// The directory is not safe to use because of its owner, its mode or its type.
        case unsafeDirectory = "unsafe_directory"
        /// This process was asked to exit, so it stopped waiting.
        case interrupted
    }

    /// The kind of error.
    public let code: Code
    /// The error as one sentence.
    public let message: String
    /// The error of the system or of SQLite that caused it; nil if there is none.
    public let underlying: (any Error)?

    /// The message.
    public var description: String { message }

    init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }
}

// All error messages of the store.
extension StoreError {
    private static let again = "index the recording again"

    // Errors of the operating system.

    /// Returns the error for a call that failed while doing `action` on `path`; `bytes` is the size of the failed write.
    static func system(_ error: SystemError, _ action: String, _ path: String, bytes: Int = 0) -> StoreError {
        switch error.number {
        case ENOSPC, EDQUOT, EFBIG:
            StoreError(
                .noSpace, "cannot \(action) \(path): \(lacking(error, path, bytes)) (\(error))", underlying: error)
        case ENOENT: StoreError(.notFound, "cannot \(action) \(path): \(error)", underlying: error)
        default: StoreError(.io, "cannot \(action) \(path): \(error)", underlying: error)
        }
    }

    /// Describes what a full file system lacks: inodes or bytes.
    private static func lacking(_ error: SystemError, _ path: String, _ bytes: Int) -> String {
        let folder = Posix.parent(of: path)
        if error.number == ENOSPC, Posix.lacksInodes(at: folder) {
            return
                "no inodes are left on the file system of \(folder), which can hold no more files; remove files there"
        }
        let free = (try? Posix.freeBytes(at: folder)).map { counted($0, "byte is", "bytes are") + " free" }
        return "\(bytes) bytes do not fit, \(free ?? "the free space is unknown")"
    }

    static func notSynced(_ path: String, _ error: SystemError) -> StoreError {
        switch error.number {
        case ENOSPC, EDQUOT, EFBIG: system(error, "flush", path)
        default:
            StoreError(.io, "\(path) could not be flushed to the disk and was removed: \(error)", underlying: error)
        }
    }

    static func hashing(_ reason: String) -> StoreError { StoreError(.io, "SHA-256 failed: \(reason)") }

    // The cache directory.

    static func notADirectory(_ path: String) -> StoreError {
        StoreError(.unsafeDirectory, "\(path) is not a directory")
    }

    static func writableByOthers(_ path: String, mode: UInt32) -> StoreError {
        StoreError(
            .unsafeDirectory,
            "\(path) can be written by other users (mode \(String(mode, radix: 8))): run chmod go-w on it")
    }

    static func ownedByAnother(_ path: String, user: UInt32) -> StoreError {
        StoreError(
            .unsafeDirectory,
            "\(path) belongs to another user (\(user)): choose a folder of your own, or run chown on it")
    }

    static func badIndexID(_ id: String) -> StoreError {
        StoreError(.badKey, "invalid index ID \(id.debugDescription): use 32 lowercase hexadecimal digits")
    }

    static func locked(_ path: String) -> StoreError {
        StoreError(.locked, "\(path) is being written by another process")
    }

    static func inUse(_ path: String) -> StoreError {
        StoreError(.locked, "\(path) is open in another process")
    }

    static func busy(_ path: String) -> StoreError {
        StoreError(.locked, "\(path) is locked by another process: try again later")
    }

    static func interrupted(_ path: String) -> StoreError {
        StoreError(.interrupted, "interrupted while waiting for another process to unlock \(path)")
    }

    static func full(_ path: String, needed: Int64, limit: Int64, used: Int64, pinned: [String]) -> StoreError {
        let list =
            pinned.isEmpty
            ? "nothing in it can be removed" : "its contents cannot be removed: " + pinned.joined(separator: ", ")
        return StoreError(
            .cacheFull,
            "\(path) has a limit of \(limit) bytes and holds \(used): \(needed) more do not fit, and \(list); "
                + "raise the limit or wait until they are no longer read")
    }

    static func notWritten(_ path: String, _ reason: String) -> StoreError {
        StoreError(
            .io, "\(path) does not read back as it was written (\(reason)) and was removed: check the disk")
    }

    // Keys, layouts and calls that do not match them.

    static func newer(_ path: String, found: Int, known: Int) -> StoreError {
        StoreError(
            .newerFormat, "\(path) has format version \(found), this program reads version \(known): update it")
    }

    static func older(_ path: String, found: Int, known: Int) -> StoreError {
        StoreError(
            .olderFormat,
            "\(path) has format version \(found), this program reads version \(known): remove it"
        )
    }

    static func olderKey(_ found: Int, known: Int) -> StoreError {
        StoreError(.badKey, "the key has format version \(found), only version \(known) can be written")
    }

    static func layoutTooLarge() -> StoreError {
        StoreError(.badKey, "the record layout has a negative size or does not fit in an Int")
    }

    static func headerTooLarge(_ bytes: Int, limit: Int) -> StoreError {
        StoreError(.badKey, "key and layout take \(bytes) bytes, the limit in a segment header is \(limit)")
    }

    static func badSegmentLength(_ frames: Int, limit: Int) -> StoreError {
        StoreError(.badKey, "invalid segment length of \(frames) frames: use 1 to \(limit)")
    }

    static func outOfOrder(got: UInt32, expected: Int) -> StoreError {
        StoreError(.badKey, "frame \(got) was appended, expected frame \(expected)")
    }

    static func noReference(frame: UInt32) -> StoreError {
        StoreError(.badKey, "frame \(frame) cannot refer to the record of an earlier frame of its segment")
    }

    static func badParts(_ sizes: [Int], expected: [Int]) -> StoreError {
        StoreError(.badKey, "a record has parts of \(sizes) bytes, expected \(expected)")
    }

    static func noSuchPart(part: Int, frame: Int, parts: Int, frames: Int) -> StoreError {
        StoreError(.badKey, "part \(part) of frame \(frame) does not exist: there are \(parts) parts, \(frames) frames")
    }

    static func notKept(_ path: String, frame: Int) -> StoreError {
        StoreError(
            .notKept,
            "the patches of frame \(frame) were not kept in \(path): index the recording again and keep all patches")
    }

    static func badBuffer(_ bytes: Int, expected: Int) -> StoreError {
        StoreError(.badKey, "the buffer has \(bytes) bytes, expected \(expected)")
    }

    static func writerFinished() -> StoreError { StoreError(.badKey, "the index writer has already finished") }

    static func manifestMismatch(_ field: String) -> StoreError {
        StoreError(.badKey, "the manifest's \(field) differs from what was written")
    }

    static func noIndex(_ path: String) -> StoreError { StoreError(.notFound, "there is no index in \(path)") }

    // Damage.

    static func notRegular(_ path: String, _ kind: String) -> StoreError {
        StoreError(.damaged, "\(path) is \(kind), not a regular file: repair the cache")
    }

    static func damagedManifest(_ path: String, _ reason: String) -> StoreError {
        StoreError(.damaged, "\(path) is damaged (\(reason)): \(again)")
    }

    static func damagedSegment(_ path: String, _ reason: String) -> StoreError {
        StoreError(.damaged, "segment \(path) is damaged (\(reason)): \(again), or repair the cache")
    }

    static func incomplete(_ path: String, frames: Int, expected: Int) -> StoreError {
        StoreError(.damaged, "\(path): its segments have \(frames) of \(expected) frames: \(again)")
    }

    static func damagedFrame(_ path: String, frame: Int, _ reason: String) -> StoreError {
        StoreError(.damaged, "segment \(path), frame \(frame) is damaged (\(reason)): \(again)")
    }

    static func damagedArchive(_ name: String, _ reason: String) -> StoreError {
        StoreError(.damaged, "the archive \(name) cannot be used: \(reason)")
    }

    // Archives.

    static func noRoom(_ path: String, needed: Int64, free: Int64) -> StoreError {
        StoreError(.noSpace, "\(path): \(needed) bytes do not fit, \(counted(free, "byte is", "bytes are")) free")
    }

    static func changedMeanwhile(_ path: String) -> StoreError {
        StoreError(.locked, "\(path) was changed by another process while it was read: try again")
    }

    static func noTar(_ error: SystemError) -> StoreError {
        StoreError(.io, "the program tar cannot be started: \(error)", underlying: error)
    }

    static func notArchivable(_ name: String, _ what: String) -> StoreError {
        StoreError(.badKey, "the archive \(name) cannot hold \(what)")
    }

    /// Returns the error for a tar that failed, by what it printed in the C locale.
    ///
    /// Of a disk that fills up, GNU tar says either that or "Wrote only 10240 of 65536 bytes".
    static func tarFailed(_ name: String, _ reason: String) -> StoreError {
        let lines = reason.split(separator: "\n")
        let message = "\(name): \(lines.first ?? "tar failed")"
        for number in [ENOSPC, EDQUOT, EFBIG] {
            let text = SystemError(number).description
            guard lines.contains(where: { $0.hasSuffix(text) || number == ENOSPC && $0.contains(": Wrote only ") })
            else {
                continue
            }
            return StoreError(.noSpace, "\(message) (\(text))", underlying: SystemError(number))
        }
        return StoreError(.io, message)
    }

    // The catalog.

    static func catalog(_ path: String, _ reason: String, code: Code, underlying: any Error) -> StoreError {
        StoreError(code, "the catalog \(path) failed: \(reason)", underlying: underlying)
    }
}
