internal import Glibc
internal import SystemCalls

extension CachedModel {
    /// Removes the model from the cache: all revisions and interrupted downloads.
    ///
    /// Blobs that newer clients keep beside the models for several of them are not touched: links are removed, not what
    /// they lead to.
    ///
    /// - Throws: `HubError` `locked` if a process downloads the model now.
    package func remove(_ settings: HubSettings) throws {
        let locks = settings.cache + "/.locks/" + (path.split(separator: "/").last.map(String.init) ?? "")
        var held: [Int32] = []
        defer {
            for descriptor in held { CacheLock.release(descriptor) }
        }
        for name in Self.names(in: locks) {
            guard let descriptor = try? SystemCall.open(locks + "/" + name, O_RDWR | O_NOFOLLOW) else { continue }
            held.append(descriptor)
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw HubError(.locked, "\(self.name): another process downloads this model now; nothing was removed")
            }
        }
        // References first: what is left after an interruption is not taken for a model.
        for part in ["refs", "snapshots"] { try Self.remove(path + "/" + part) }
        try Self.remove(path)
        try Self.remove(locks)
    }

    private static func remove(_ path: String) throws {
        guard let status = try? SystemCall.linkStatus(of: path) else { return }
        do {
            if status.st_mode & S_IFMT == S_IFDIR {
                for name in try SystemCall.names(in: path) {
                    try remove(path + "/" + String(decoding: name, as: UTF8.self))
                }
                guard rmdir(path) == 0 else { throw SystemError.last }
            } else {
                guard unlink(path) == 0 else { throw SystemError.last }
            }
        } catch let error as SystemError {
            throw HubError(.writeFailed, "\(path): cannot be removed: \(error)")
        }
    }
}
