import Glibc

/// An index that is being made anew: the old one stands aside until the new one is complete.
///
/// `indexes/<id>.previous` holds it. Whoever opens the cache puts it back where its successor was left unfinished.
extension CacheDirectory {
    private static let suffix = ".previous"
    private func previousPath(_ indexID: String) -> String { path(indexID: indexID) + Self.suffix }

    /// Moves an index aside; false when there is none.
    ///
    /// Throws `StoreError`: `.locked` while it is being written, `.badKey`.
    public func setAside(indexID: String) throws -> Bool {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        let directory = path(indexID: indexID)
        guard Posix.linkStatus(directory) != nil else { return false }
        let lock = try IndexLock(directory: directory)
        defer { lock.release() }
        try bury(previousPath(indexID))
        if rename(directory, previousPath(indexID)) != 0 { throw StoreError.system(errno, "set aside", directory) }
        try Posix.syncDirectory(Posix.parent(of: directory))
        return true
    }

    /// The new index is complete: the old one goes.
    public func dropPrevious(indexID: String) throws {
        try bury(previousPath(indexID))
        try emptyTrash()
    }

    /// The new index did not come about: the old one takes its place again, what there is of the new one goes.
    public func restorePrevious(indexID: String) throws {
        guard Posix.linkStatus(previousPath(indexID)) != nil else { return }
        try bury(path(indexID: indexID))
        if rename(previousPath(indexID), path(indexID: indexID)) != 0 {
            throw StoreError.system(errno, "put back", previousPath(indexID))
        }
        try Posix.syncDirectory(Posix.parent(of: path(indexID: indexID)))
        try emptyTrash()
    }

    /// What a run that was killed left aside.
    func settlePrevious() throws {
        let folder = Posix.parent(of: path(indexID: "x"))
        for name in try Posix.names(in: folder) where name.hasSuffix(Self.suffix) {
            let id = String(name.dropLast(Self.suffix.count))
            guard IndexKey.isID(id) else { continue }
            let directory = path(indexID: id)
            if Posix.linkStatus(directory) != nil {
                // Someone is writing it just now.
                guard let lock = try? IndexLock(directory: directory) else { continue }
                lock.release()
                if (try? ManifestFile.load(directory: directory)) != nil {
                    try dropPrevious(indexID: id)
                    continue
                }
            }
            try restorePrevious(indexID: id)
        }
    }
}
