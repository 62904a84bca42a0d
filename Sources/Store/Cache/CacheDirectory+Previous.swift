import Glibc

/// The old version of an index that is being rebuilt, kept in `indexes/<id>.previous` until the new one is complete.
///
/// Its lock is held for that time. A process that opens the cache and finds a previous index without a lock restores
/// it, or removes it if the new index was finished.
public final class PreviousIndex {
    private let cache: CacheDirectory
    private let indexID: String
    private let lock: IndexLock

    init(cache: CacheDirectory, indexID: String, lock: IndexLock) {
        self.cache = cache
        self.indexID = indexID
        self.lock = lock
    }

    /// Removes the old index, after the new one is complete.
    public func drop() throws {
        defer { lock.release() }
        try cache.dropPrevious(indexID)
    }

    /// Restores the old index and removes the unfinished new one.
    public func restore() throws {
        defer { lock.release() }
        try cache.restorePrevious(indexID)
    }
}

extension CacheDirectory {
    static let previousSuffix = ".previous"
    private func previousPath(_ indexID: String) -> String { path(indexID: indexID) + Self.previousSuffix }

    /// Moves an index aside; returns nil if there is no such index.
    ///
    /// Throws `StoreError`: `.locked` while it is being written, `.badKey`.
    public func setAside(indexID: String) throws -> PreviousIndex? {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        let directory = path(indexID: indexID)
        guard Posix.linkStatus(directory) != nil else { return nil }
        // The lock is on the file, so it moves with the directory.
        let lock = try IndexLock(directory: directory)
        try moveToTrash(previousPath(indexID))
        try Posix.rename(directory, to: previousPath(indexID), "set aside")
        CrashPoint.reach(.setAside)
        try Posix.syncDirectory(Posix.parent(of: directory))
        return PreviousIndex(cache: self, indexID: indexID, lock: lock)
    }

    fileprivate func dropPrevious(_ indexID: String) throws {
        try moveToTrash(previousPath(indexID))
        try emptyTrash()
    }

    fileprivate func restorePrevious(_ indexID: String) throws {
        guard Posix.linkStatus(previousPath(indexID)) != nil else { return }
        try moveToTrash(path(indexID: indexID))
        try Posix.rename(previousPath(indexID), to: path(indexID: indexID), "put back")
        try Posix.syncDirectory(Posix.parent(of: path(indexID: indexID)))
        try emptyTrash()
    }

    /// Restores or removes the previous indexes that killed runs left.
    func settlePrevious() throws {
        let folder = Posix.parent(of: path(indexID: "x"))
        for name in try Posix.names(in: folder) where name.hasSuffix(Self.previousSuffix) {
            let id = String(name.dropLast(Self.previousSuffix.count))
            // If the lock is taken, the run is still alive.
            guard IndexKey.isID(id), let lock = try? IndexLock(directory: folder + "/" + name) else { continue }
            defer { lock.release() }
            do {
                _ = try ManifestFile.load(directory: path(indexID: id))
            } catch let error as StoreError where [.notFound, .damaged, .olderFormat].contains(error.code) {
                try restorePrevious(id)
                continue
            } catch {
                // An index that cannot be read now may still be intact.
                continue
            }
            try dropPrevious(id)
        }
    }
}
