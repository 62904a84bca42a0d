import Glibc

/// The directory of all indexes.
///
/// Inside are `CACHEDIR.TAG`, `limits.json`, `indexes/<index id>/`, `derived/` and `trash/`.
public final class CacheDirectory: Sendable {
    static let tag = "CACHEDIR.TAG"
    static let tagText = """
        Signature: 8a477f597d28d172789f06886806bc55
        # This directory is a cache made by longtake: backups may skip it, see https://bford.info/cachedir/

        """

    public let path: String

    /// Opens the cache, making it with mode 0700 when it is not there.
    ///
    /// Throws `StoreError`: `.unsafeDirectory` when it belongs to another user, other users can write it or the folders in it,
    /// or it is no directory.
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
            // A cache that can only be read answers questions all the same.
            guard access(path, W_OK) != 0, Posix.linkStatus(indexesPath) != nil else {
                throw access(path, W_OK) == 0 ? error : StoreError.system(errno, "write to", path)
            }
        }
    }

    /// Where the index for `key` lies or would lie.
    public func indexPath(_ key: IndexKey) -> String { path(indexID: key.id) }

    /// Where an index's files are, by its id.
    public func path(indexID: String) -> String { indexesPath + "/" + indexID }

    /// The manifest of one index; throws `.notFound`, `.damaged`, `.newerFormat`, `.olderFormat` or `.badKey`.
    public func manifest(indexID: String) throws -> Manifest {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        return try ManifestFile.load(directory: path(indexID: indexID))
    }

    /// What tells an index's manifest file from any later one, by one look at the file system; nil where there is none.
    public func manifestStamp(indexID: String) -> String? {
        guard let status = Posix.linkStatus(path(indexID: indexID) + "/" + ManifestFile.name),
            Posix.isRegular(status)
        else { return nil }
        let known = FileFingerprint(status)
        return "\(known.inode):\(known.size):\(known.modified):\(known.changed ?? 0)"
    }

    /// The manifests of all readable indexes, sorted by name, then path, then id; damaged ones are left out.
    public func indexes() throws -> [Manifest] {
        let found = try Posix.names(in: indexesPath).filter(IndexKey.isID).compactMap { name in
            try? ManifestFile.load(directory: indexesPath + "/" + name)
        }
        return found.sorted { ($0.name, $0.path, $0.key.id) < ($1.name, $1.path, $1.key.id) }
    }

    /// Removes one index: it vanishes by one rename, then its files are unlinked.
    ///
    /// Throws `StoreError`: `.notFound`, `.locked` while it is being written, `.badKey` for what is no index id.
    public func remove(indexID: String) throws {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        let directory = indexesPath + "/" + indexID
        guard Posix.linkStatus(directory) != nil else { throw StoreError.noIndex(directory) }
        let lock = try IndexLock(directory: directory)
        defer { lock.release() }
        try bury(directory)
        try emptyTrash()
    }

    /// Notes that something was asked of this index: what was not asked for longest goes first.
    public func touchAsked(indexID: String) {
        guard IndexKey.isID(indexID) else { return }
        let file = path(indexID: indexID) + "/" + CacheDirectory.askedName
        // In a cache that can only be read nothing is evicted either.
        guard let descriptor = try? Posix.openOwn(file, O_WRONLY | O_CREAT) else { return }
        futimens(descriptor, nil)
        close(descriptor)
    }

    static let askedName = ".asked"

    /// Throws `StoreError` `.unsafeDirectory` for a folder that belongs to another user or that others can write.
    package static func requirePrivate(_ path: String) throws { try Posix.requirePrivate(path) }

    /// Moves a directory to the trash, by one rename; nothing when it is not there.
    func bury(_ directory: String) throws {
        guard Posix.linkStatus(directory) != nil else { return }
        var moment = timespec()
        clock_gettime(CLOCK_REALTIME, &moment)
        let name = directory.split(separator: "/").last.map(String.init) ?? "index"
        let grave = "\(trashPath)/\(name).\(getpid()).\(moment.tv_sec).\(moment.tv_nsec)"
        try Posix.rename(directory, to: grave, "remove")
        CrashPoint.reach(.buried)
        if IndexKey.isID(name) { removeDerived(indexID: name) }
        try Posix.syncDirectory(indexesPath)
    }

    /// What an earlier run left in the trash goes too.
    func emptyTrash() throws {
        for name in try Posix.names(in: trashPath) { try CacheDirectory.unlinkTree(trashPath + "/" + name) }
    }

    /// The bytes this user can still write on the cache's file system.
    public func freeBytes() throws -> Int64 { try Posix.freeBytes(at: path) }

    /// The sizes of all indexes, of derived files and of the trash, in bytes; not of the few small files beside them.
    public func usedBytes() throws -> Int64 {
        try CacheDirectory.size(of: indexesPath) + derivedBytes() + trashBytes()
    }

    /// The sizes of what lies in `derived/` and in the trash.
    public func derivedBytes() throws -> Int64 {
        Posix.linkStatus(derivedPath) == nil ? 0 : try CacheDirectory.size(of: derivedPath)
    }
    public func trashBytes() throws -> Int64 {
        Posix.linkStatus(trashPath) == nil ? 0 : try CacheDirectory.size(of: trashPath)
    }

    /// Where what can be made again from the indexes lies: each file may vanish at any time.
    public var derivedPath: String { path + "/derived" }

    var indexesPath: String { path + "/indexes" }
    var trashPath: String { path + "/trash" }

    private func writeTag() throws {
        let file = path + "/" + CacheDirectory.tag
        if let status = Posix.linkStatus(file), Posix.isRegular(status) { return }
        try Posix.replace(file, with: Array(CacheDirectory.tagText.utf8), mode: 0o644)
    }

    private static func makeWithParents(_ path: String) throws {
        var status = stat()
        if stat(path, &status) != 0, errno == ENOENT {
            let parent = Posix.parent(of: path)
            if parent != path, parent != "." { try makeWithParents(parent) }
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
                // A directory that another process removes meanwhile takes no room.
                total += (try? size(of: child)) ?? 0
            } else {
                total += Int64(status.st_size)
            }
        }
        return total
    }

    /// The bytes of a small file of the cache; nil where there is none, or something that is not a regular file.
    package static func contents(_ path: String, limit: Int = 64 << 20) -> [UInt8]? {
        Posix.contents(path, limit: limit)
    }
}
