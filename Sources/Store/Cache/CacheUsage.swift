internal import Synchronization

/// How much a cache holds: added up once, then kept up with by what this process writes.
///
/// Adding up looks at every file. Other processes write too: it is done again once this one has written a quarter of the room
/// that there was.
public final class CacheUsage: Sendable {
    private struct State {
        var measured: Int64?
        var written: Int64 = 0
    }

    private let cache: CacheDirectory
    private let state = Mutex(State())

    public init(_ cache: CacheDirectory) { self.cache = cache }

    /// The bytes in the cache, as far as this process knows.
    public func used() throws -> Int64 {
        if let known = state.withLock({ state in state.measured.map { $0 + state.written } }) { return known }
        return try measure()
    }

    /// Adds up again.
    @discardableResult
    public func measure() throws -> Int64 {
        let used = try cache.usedBytes()
        state.withLock { $0 = State(measured: used) }
        return used
    }

    /// Notes that `bytes` are about to be written.
    public func add(_ bytes: Int64) { state.withLock { $0.written += bytes } }

    /// Whether `bytes` more fit below `limit` for sure.
    func hasRoom(for bytes: Int64, limit: Int64) throws -> Bool {
        // What the file system holds is the most the cache can hold, but for one that compresses.
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
