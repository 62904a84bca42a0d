internal import Models
internal import Store

/// The keys and values of the first positions of a prefix cache that is not complete yet: computing them can take hours.
///
/// A file of its own beside the complete one; `partial` in its identity tells them apart.
extension PrefixCacheStore {
    /// Loads the first positions for `key`; nil if there are none, or not fewer than `count`.
    ///
    /// - Parameters:
    ///   - count: positions of the complete prefix.
    ///   - capacity: positions to make room for.
    func loadPartial(_ key: Key, model: LlavaMini, count: Int, capacity: Int) -> KVCache? {
        guard let (identity, path) = partial(key), let file = DerivedFile(path: path, identity: identity) else {
            return nil
        }
        let cache = keysAndValues(file, from: 0, model: model) { capacity - $0 }
        // Slices begin at multiples of their length, so that the rest is computed as it would have been.
        guard let cache, cache.count < count, cache.count % LanguageModel.sliceLength == 0 else { return nil }
        return cache
    }

    /// Saves the positions computed so far; does nothing if there is no space or the write fails.
    func savePartial(_ cache: KVCache, _ key: Key) {
        guard let (identity, path) = partial(key) else { return }
        let bytes = DerivedFile.size(identity: identity, sections: cache.parts.map(\.count))
        guard makeRoom(for: Int64(bytes)) else { return }
        try? DerivedFile.write(path: path, identity: identity, sections: cache.parts)
    }

    /// Removes what `savePartial` wrote.
    func removePartial(_ key: Key) {
        guard let (_, path) = partial(key) else { return }
        DerivedFile.remove(path: path)
    }

    private func partial(_ key: Key) -> (identity: [UInt8], path: String)? {
        var partial = key
        partial.isPartial = true
        guard let identity = partial.bytes, let path = path(partial, identity) else { return nil }
        return (identity, path)
    }
}

/// Decides when the positions computed so far are saved: at intervals, and when the work ends early.
struct PartialPrefix {
    /// Time of computing between two saves.
    let interval: Duration
    private let clock = ContinuousClock()
    private var saved: ContinuousClock.Instant

    init(interval: Duration) {
        self.interval = interval
        saved = clock.now
    }

    /// True if the interval has passed since the last save; it then counts as saved.
    mutating func isDue() -> Bool {
        guard clock.now - saved >= interval else { return false }
        saved = clock.now
        return true
    }

    /// True if computing what is not saved took longer than writing `bytes` does, at 200 MB/s.
    func isWorthSaving(bytes: Int) -> Bool { (clock.now - saved).seconds > Double(bytes) / 200e6 }
}
