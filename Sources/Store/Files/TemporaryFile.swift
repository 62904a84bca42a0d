import Glibc
import SystemCalls

/// A file that is written beside the one it replaces, `<path>.<random>.tmp`, and removed unless it is published.
///
/// Its writer holds a lock on it (flock), by which the leftovers of killed writers are told from files being written,
/// also by processes of other containers or machines.
final class TemporaryFile {
    let path: String
    let descriptor: Int32
    private let target: String
    private var isPublished = false

    /// Creates the file and removes those that killed writers of `target` left.
    init(replacing target: String, mode: mode_t = 0o600) throws {
        try Self.removeLeftovers(of: target)
        while true {
            let path = "\(target).\(Checksum.hex(UInt64.random(in: 0 ... .max))).tmp"
            let descriptor = try Posix.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
            // Another process may have taken it for a leftover before it was locked. A file system without locks
            // has no leftovers that are removed either.
            _ = try? Posix.lock(descriptor, LOCK_EX, for: 1, path: path)
            guard Posix.isNamed(descriptor, path) else {
                Posix.unlock(descriptor)
                continue
            }
            (self.path, self.descriptor, self.target) = (path, descriptor, target)
            return
        }
    }

    deinit {
        if !isPublished { Posix.discard(path) }
        Posix.unlock(descriptor)
    }

    /// Flushes the file, renames it to what it replaces and flushes the folder.
    func publish() throws {
        try Posix.sync(descriptor, path: path)
        try Posix.rename(path, to: target)
        isPublished = true
        try Posix.syncDirectory(Posix.parent(of: target))
    }

    /// Removes the temporary files of `target` that no process has open.
    private static func removeLeftovers(of target: String) throws {
        let folder = Posix.parent(of: target)
        let prefix = (target.split(separator: "/").last.map(String.init) ?? target) + "."
        for name in try Posix.names(in: folder) where name.hasPrefix(prefix) && name.hasSuffix(".tmp") {
            let path = folder + "/" + name
            guard let descriptor = try? Posix.openRegular(path, O_WRONLY) else { continue }
            defer { Posix.unlock(descriptor) }
            if (try? Posix.lock(descriptor, LOCK_EX, path: path)) == true { Posix.discard(path) }
        }
    }
}
