import Glibc
import SystemCalls

/// The cache directory, which holds all indexes.
///
/// It contains `CACHEDIR.TAG`, `limits.json`, `indexes/<index id>/`, `derived/` and `trash/`.
public final class CacheDirectory: Sendable {
    static let tag = "CACHEDIR.TAG"
    static let tagText = """
        Signature: 8a477f597d28d172789f06886806bc55
        # This directory is a cache made by longtake: backups may skip it, see https://bford.info/cachedir/

        """

    /// Path of the directory, without a trailing slash.
    public let path: String

    /// Opens the cache, creating it with mode 0700 if it does not exist.
    ///
    /// Throws `StoreError`: `.unsafeDirectory` if the path is not a directory, the directory belongs to another user,
    /// or other users can write to it or to the folders in it.
    public init(path: String) throws {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        self.path = path
        try CacheDirectory.makeWithParents(path)
        try Posix.requirePrivate(path)
        do {
            try writeTag()
            for folder in [indexesPath, trashPath, derivedPath] {
                if try Posix.makeDirectory(folder) { try Posix.syncName(of: folder) }
                try Posix.requirePrivate(folder)
            }
            try settlePrevious()
        } catch let error as StoreError where error.code == .unsafeDirectory {
            throw error
        } catch {
            // A read-only cache can still answer questions.
            guard access(path, W_OK) != 0, Posix.linkStatus(indexesPath) != nil else {
                throw access(path, W_OK) == 0 ? error : StoreError.system(.last, "write to", path)
            }
        }
    }

    /// Returns the path of the index for `key`, whether or not it exists.
    public func indexPath(_ key: IndexKey) -> String { path(indexID: key.id) }

    /// Returns the folder of an index, by its ID.
    public func path(indexID: String) -> String { indexesPath + "/" + indexID }

    /// Returns the manifest of one index; throws `.notFound`, `.damaged`, `.newerFormat`, `.olderFormat` or `.badKey`.
    public func manifest(indexID: String) throws -> Manifest {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        return try ManifestFile.load(directory: path(indexID: indexID))
    }

    /// Replaces the origin in the manifest of a finished index; its frames and its readers are not affected.
    ///
    /// Throws `StoreError`: `.locked` while the index is being written; as `manifest`.
    public func set(origin: RecordingOrigin, indexID: String) throws {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        let directory = path(indexID: indexID)
        var manifest = try ManifestFile.load(directory: directory)
        guard manifest.origin != origin else { return }
        let lock = try IndexLock(directory: directory)
        defer { lock.release() }
        // Read again: a writer may have finished before the lock was taken.
        manifest = try ManifestFile.load(directory: directory)
        manifest.origin = origin
        try ManifestFile.save(manifest, directory: directory)
    }

    /// Returns a stamp that identifies the current manifest file of an index; nil if there is no manifest.
    ///
    /// Cost: one `lstat`.
    public func manifestStamp(indexID: String) -> String? {
        guard let status = Posix.linkStatus(path(indexID: indexID) + "/" + ManifestFile.name),
            Posix.isRegular(status)
        else { return nil }
        let known = FileFingerprint(status)
        return "\(known.inode):\(known.size):\(known.modified):\(known.changed ?? 0)"
    }

    /// Returns the manifests of all readable indexes, sorted by name, path and ID; damaged ones are left out.
    public func indexes() throws -> [Manifest] {
        let found = try Posix.names(in: indexesPath).filter(IndexKey.isID).compactMap { name in
            try? ManifestFile.load(directory: indexesPath + "/" + name)
        }
        return found.sorted { ($0.name, $0.path, $0.key.id) < ($1.name, $1.path, $1.key.id) }
    }

    /// Removes one index: one rename hides it, then its files are unlinked.
    ///
    /// Throws `StoreError`: `.notFound`, `.locked` while it is being written, `.badKey` for an invalid index ID.
    public func remove(indexID: String) throws {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        let directory = indexesPath + "/" + indexID
        guard Posix.linkStatus(directory) != nil else { throw StoreError.noIndex(directory) }
        let lock = try IndexLock(directory: directory)
        defer { lock.release() }
        try moveToTrash(directory)
        try emptyTrash()
    }

    /// Records that this index was asked a question; the least recently asked index is evicted first.
    public func touchAsked(indexID: String) {
        guard IndexKey.isID(indexID) else { return }
        let file = path(indexID: indexID) + "/" + CacheDirectory.askedName
        // Ignored in a read-only cache: nothing is evicted there either.
        guard let descriptor = try? Posix.openOrRecreate(file, O_WRONLY | O_CREAT) else { return }
        futimens(descriptor, nil)
        close(descriptor)
    }

    static let askedName = ".asked"

    /// Throws `StoreError` `.unsafeDirectory` for a folder that belongs to another user or that other users can write
    /// to.
    package static func requirePrivate(_ path: String) throws { try Posix.requirePrivate(path) }

    /// Moves a directory to the trash by one rename; does nothing if it does not exist.
    func moveToTrash(_ directory: String) throws {
        guard Posix.linkStatus(directory) != nil else { return }
        var moment = timespec()
        clock_gettime(CLOCK_REALTIME, &moment)
        let name = directory.split(separator: "/").last.map(String.init) ?? "index"
        let target = "\(trashPath)/\(name).\(getpid()).\(moment.tv_sec).\(moment.tv_nsec)"
        try Posix.rename(directory, to: target, "remove")
        CrashPoint.reach(.buried)
        if IndexKey.isID(name) { removeDerived(indexID: name) }
        try Posix.syncDirectory(indexesPath)
    }

    /// Deletes everything in the trash, including what earlier runs left there.
    func emptyTrash() throws {
        for name in try Posix.names(in: trashPath) { try CacheDirectory.unlinkTree(trashPath + "/" + name) }
    }

    /// Returns the number of bytes this user can still write on the cache's file system.
    public func freeBytes() throws -> Int64 { try Posix.freeBytes(at: path) }

    /// Returns the size in bytes of all indexes, derived files and the trash, without the few small files beside them.
    public func usedBytes() throws -> Int64 {
        try CacheDirectory.size(of: indexesPath) + derivedBytes() + trashBytes()
    }

    /// Returns the size in bytes of the files in `derived/`.
    public func derivedBytes() throws -> Int64 {
        Posix.linkStatus(derivedPath) == nil ? 0 : try CacheDirectory.size(of: derivedPath)
    }
    /// Returns the size in bytes of the files in the trash.
    public func trashBytes() throws -> Int64 {
        Posix.linkStatus(trashPath) == nil ? 0 : try CacheDirectory.size(of: trashPath)
    }

    /// Folder of data that can be rebuilt from the indexes; each file may disappear at any time.
    public var derivedPath: String { path + "/derived" }

    var indexesPath: String { path + "/indexes" }
    var trashPath: String { path + "/trash" }

    private func writeTag() throws {
        let file = path + "/" + CacheDirectory.tag
        if let status = Posix.linkStatus(file), Posix.isRegular(status) { return }
        try Posix.replace(file, with: Array(CacheDirectory.tagText.utf8), mode: 0o644)
    }

    private static func makeWithParents(_ path: String) throws {
        do {
            _ = try SystemCall.status(of: path)
        } catch  where error.number == ENOENT {
            let parent = Posix.parent(of: path)
            if parent != path, parent != "." { try makeWithParents(parent) }
        } catch {
            // Creating it reports what is wrong.
        }
        if try Posix.makeDirectory(path) { try Posix.syncName(of: path) }
    }

    static func unlinkTree(_ path: String) throws {
        guard let status = Posix.linkStatus(path) else { return }
        guard Posix.isDirectory(status) else { return try Posix.remove(path) }
        do {
            for name in try Posix.names(in: path) { try unlinkTree(path + "/" + name) }
        } catch let error as StoreError where error.code == .notFound {
            return
        }
        try Posix.removeDirectory(path)
    }

    static func size(of path: String) throws -> Int64 {
        var total: Int64 = 0
        for name in try Posix.names(in: path) {
            let child = path + "/" + name
            guard let status = Posix.linkStatus(child) else { continue }
            if Posix.isDirectory(status) {
                // A directory that another process removes meanwhile counts as empty.
                total += (try? size(of: child)) ?? 0
            } else {
                total += Int64(status.st_size)
            }
        }
        return total
    }

    /// Returns the contents of a small file in the cache; nil if it does not exist or is not a regular file.
    package static func contents(_ path: String, limit: Int = 64 << 20) -> [UInt8]? {
        Posix.contents(path, limit: limit)
    }
}
