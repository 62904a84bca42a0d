import Glibc
import SystemCalls

/// The lock of a run that must not go on twice at once; it ends with the process, so no lock can become stale.
///
/// The file holds a line about its holder. It stays after the run: removing it would let two processes hold locks on two
/// files of the same name.
public final class RunLock {
    /// Bytes of a holder's line that are read.
    private static let lineLimit = 512
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { Posix.unlock(descriptor) }

    /// Takes the lock, trying for `seconds`; returns nil if another run holds it.
    ///
    /// - Parameter holder: what another run is told about this one, on one line.
    /// - Throws: `StoreError` if the file cannot be created, `.interrupted` if this process was asked to exit.
    public static func take(_ path: String, holder: String, waiting seconds: Double = 0) throws -> RunLock? {
        let descriptor = try Posix.openOrRecreate(path, O_RDWR | O_CREAT)
        let lock = RunLock(descriptor)
        guard try Posix.lock(descriptor, LOCK_EX, for: seconds, path: path) else { return nil }
        // Only informs: a full disk must not prevent a run.
        _ = ftruncate(descriptor, 0)
        try? SystemCall.writeAll(descriptor, Array((holder + "\n").utf8.prefix(lineLimit)))
        return lock
    }

    /// Returns what the holder of a lock said about itself; nil if nobody holds it.
    public static func holder(of path: String) -> String? {
        guard let descriptor = try? Posix.openRegular(path, O_RDONLY) else { return nil }
        defer { Posix.unlock(descriptor) }
        guard (try? Posix.lock(descriptor, LOCK_SH, path: path)) == false else { return nil }
        var bytes = [UInt8](repeating: 0, count: lineLimit)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return String(decoding: bytes.prefix(max(0, count)).prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
