internal import Synchronization

/// The size of a cache: measured once, then updated with what this process writes.
///
/// Measuring visits every file. Other processes write too, so it is repeated after this one has written a quarter of
/// the room that was left.
public final class CacheUsage: Sendable {
    private struct State {
        var measured: Int64?
        var written: Int64 = 0
    }

    private let cache: CacheDirectory
    private let state = Mutex(State())

    /// Tracks the size of `cache`; nothing is measured until the size is needed.
    public init(_ cache: CacheDirectory) { self.cache = cache }

    /// Returns the size of the cache in bytes, as far as this process knows.
    public func used() throws -> Int64 {
        if let known = state.withLock({ state in state.measured.map { $0 + state.written } }) { return known }
        return try measure()
    }

    /// Measures the cache again; returns its size in bytes.
    @discardableResult
    public func measure() throws -> Int64 {
        let used = try cache.usedBytes()
        state.withLock { $0 = State(measured: used) }
        return used
    }

    /// Records that `bytes` are about to be written.
    public func add(_ bytes: Int64) { state.withLock { $0.written += bytes } }

    /// Returns true if `bytes` more are certain to fit below `limit`.
    func hasRoom(for bytes: Int64, limit: Int64) throws -> Bool {
        // The used space of the file system is an upper bound of the cache's size, except on a compressing file system.
        if let all = try? Posix.totalBytes(at: cache.path) - Posix.freeBytes(at: cache.path),
            all >= 0, all <= (limit - bytes) / 2
        {
            return true
        }
        if let (measured, written) = state.withLock({ state in state.measured.map { ($0, state.written) } }),
            written + bytes <= (limit - measured) / 4
        {
            return true
        }
        return try measure() <= limit - bytes
    }
}
