internal import Glibc
internal import SystemCalls

/// A lock on a file in the cache's `.locks`, held until it is released; it ends with the process.
///
/// `huggingface_hub` takes the same locks for blobs.
final class CacheLock {
    private let descriptor: Int32

    /// Takes a lock.
    ///
    /// - Parameters:
    ///   - isShared: others may hold it shared too.
    ///   - check: called while waiting; throws to stop.
    ///   - waiting: called once if another process has the lock.
    init(_ path: String, isShared: Bool = false, check: () throws -> Void, waiting: () -> Void) throws {
        var isWaiting = false
        while true {
            // Removing a model removes its locks.
            try HubCache.makeFolder(HubCache.parent(path))
            let descriptor: Int32
            do {
                descriptor = try SystemCall.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o666)
            } catch {
                if error.number == ENOENT { continue }
                throw HubError.write(path, error)
            }
            do {
                while flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
                    guard errno == EWOULDBLOCK || errno == EINTR else { throw HubError.write(path, .last) }
                    if !isWaiting { waiting() }
                    isWaiting = true
                    try check()
                    usleep(50_000)
                }
            } catch {
                close(descriptor)
                throw error
            }
            // The file may have been removed between open and lock; then the lock guards nothing.
            if let held = try? SystemCall.status(descriptor), let named = try? SystemCall.status(of: path),
                held.st_ino == named.st_ino, held.st_dev == named.st_dev
            {
                self.descriptor = descriptor
                return
            }
            Self.release(descriptor)
        }
    }

    /// Closing is not enough: a process that is just being started has a copy of the open file, which owns the lock.
    static func release(_ descriptor: Int32) {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    deinit { Self.release(descriptor) }
}
