import Glibc

/// The writer's lock on one index directory: it ends with the process, so there is no stale lock to break.
final class IndexLock {
    private var descriptor: Int32

    /// Takes `<directory>/.lock` without waiting; throws `.locked` when another writer has it.
    init(directory: String) throws {
        let path = directory + "/.lock"
        let descriptor = try Posix.openOwn(path, O_RDWR | O_CREAT)
        do {
            // Patience: `isHeld` of another process takes it for a moment, which is longer on a busy machine.
            guard try Posix.lock(descriptor, LOCK_EX, for: 1, path: path) else {
                throw StoreError.locked(directory)
            }
            // The directory may have been moved to the trash between open and lock: then this lock guards nothing.
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

    /// Whether another process or object has it now.
    static func isHeld(directory: String) -> Bool {
        guard let descriptor = try? Posix.openRegular(directory + "/.lock", O_RDONLY) else { return false }
        defer { Posix.unlock(descriptor) }
        return (try? Posix.lock(descriptor, LOCK_SH, path: directory)) == false
    }
}

/// The readers' lock on one index directory: whoever removes what is read takes it alone.
///
/// Writers do not look at it. It is held alone only for the renames and unlinks of a removal, so nobody waits long.
final class ReaderLock: Sendable {
    private static let name = ".readers"
    private let descriptor: Int32

    /// Shares the lock; nil where there is no file and none can be made, as in a cache that can only be read.
    ///
    /// Throws `.notFound` when the index was removed meanwhile, `.locked` when a removal takes longer than five seconds.
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

    /// Takes the lock alone, without waiting; throws `.locked` when the index is open.
    static func alone(directory: String) throws -> ReaderLock {
        try makeFile(directory: directory)
        let path = directory + "/" + name
        let lock = ReaderLock(try Posix.openRegular(path, O_RDONLY))
        guard try Posix.lock(lock.descriptor, LOCK_EX, path: path), Posix.isNamed(lock.descriptor, path) else {
            throw StoreError.inUse(directory)
        }
        return lock
    }

    static func makeFile(directory: String) throws {
        close(try Posix.openOwn(directory + "/" + name, O_RDONLY | O_CREAT))
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { Posix.unlock(descriptor) }
}

extension Posix {
    /// Gives a lock back and closes its file.
    ///
    /// Closing alone would not do: a process being started on another thread has a copy of the descriptor between fork and
    /// exec, and the lock belongs to the open file (flock(2)), not to the descriptor.
    static func unlock(_ descriptor: Int32) {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Whether an open file is still the one at `path`.
    static func isNamed(_ descriptor: Int32, _ path: String) -> Bool {
        guard let held = try? status(descriptor, path: path), let named = linkStatus(path) else { return false }
        return held.st_ino == named.st_ino && held.st_dev == named.st_dev
    }
}
