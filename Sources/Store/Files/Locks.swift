import Glibc

/// The writer's lock on one index directory; it ends with the process, so no lock can become stale.
final class IndexLock {
    private var descriptor: Int32

    /// Takes `<directory>/.lock` without waiting; throws `.locked` if another writer has it.
    init(directory: String) throws {
        let path = directory + "/.lock"
        let descriptor = try Posix.openOrRecreate(path, O_RDWR | O_CREAT)
        do {
            // Wait up to 1 s: `isHeld` in another process holds it briefly, longer on a busy machine.
            guard try Posix.lock(descriptor, LOCK_EX, for: 1, path: path) else {
                throw StoreError.locked(directory)
            }
            // The directory may have been moved to the trash between open and lock; the lock would then guard nothing.
            guard Posix.isNamed(descriptor, path) else { throw StoreError.locked(directory) }
        } catch {
            Posix.unlock(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    func release() {
        if descriptor >= 0 { Posix.unlock(descriptor) }
        descriptor = -1
    }

    deinit { release() }

    /// Returns true if another process or object holds the lock.
    static func isHeld(directory: String) -> Bool {
        guard let descriptor = try? Posix.openRegular(directory + "/.lock", O_RDONLY) else { return false }
        defer { Posix.unlock(descriptor) }
        return (try? Posix.lock(descriptor, LOCK_SH, path: directory)) == false
    }
}

/// The readers' lock on one index directory; removing an index that may be open takes it exclusively.
///
/// Writers ignore it. It is held exclusively only for the renames and unlinks of a removal, so waits are short.
final class ReaderLock: Sendable {
    private static let name = ".readers"
    private let descriptor: Int32

    /// Takes the lock shared; nil if there is no lock file and none can be created, as in a read-only cache.
    ///
    /// Throws `.notFound` if the index was removed meanwhile, `.locked` if a removal takes longer than five seconds.
    static func shared(directory: String) throws -> ReaderLock? {
        let path = directory + "/" + name
        for _ in 0..<3 {
            let opened = Posix.linkStatus(path) == nil ? nil : try? Posix.openRegular(path, O_RDONLY)
            guard let descriptor = opened else {
                let isMissing = Posix.linkStatus(path) == nil || Posix.otherKind(path) != nil
                guard isMissing, Posix.linkStatus(directory) != nil, (try? makeFile(directory: directory)) != nil
                else { return nil }
                continue
            }
            let lock = ReaderLock(descriptor)
            guard try Posix.lock(descriptor, LOCK_SH, for: 5, path: path) else { throw StoreError.busy(directory) }
            if Posix.isNamed(descriptor, path) { return lock }
        }
        throw StoreError.noIndex(directory)
    }

    /// Takes the lock exclusively, without waiting; throws `.locked` if the index is open.
    static func exclusive(directory: String) throws -> ReaderLock {
        try makeFile(directory: directory)
        let path = directory + "/" + name
        let lock = ReaderLock(try Posix.openRegular(path, O_RDONLY))
        guard try Posix.lock(lock.descriptor, LOCK_EX, path: path), Posix.isNamed(lock.descriptor, path) else {
            throw StoreError.inUse(directory)
        }
        return lock
    }

    static func makeFile(directory: String) throws {
        close(try Posix.openOrRecreate(directory + "/" + name, O_RDONLY | O_CREAT))
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { Posix.unlock(descriptor) }
}

extension Posix {
    /// Releases a lock and closes its file.
    ///
    /// Closing alone would not release it: a process being started on another thread has a copy of the descriptor
    /// between fork and exec, and the lock belongs to the open file (flock(2)), not to the descriptor.
    static func unlock(_ descriptor: Int32) {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Returns true if an open file is still the one at `path`.
    static func isNamed(_ descriptor: Int32, _ path: String) -> Bool {
        guard let held = try? status(descriptor, path: path), let named = linkStatus(path) else { return false }
        return held.st_ino == named.st_ino && held.st_dev == named.st_dev
    }
}
