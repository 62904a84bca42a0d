internal import Tensors

/// The keys and values of one sequence: those of a prefix that it may share with others, then its own.
///
/// The prefix is read in place, so that several sequences about the same frames need its memory once.
package final class SequenceCache {
    private let prefix: KVCache?
    private let start: Int  // positions that are read from the prefix
    private let own: KVCache

    /// A sequence that owns all its positions.
    package init(_ cache: KVCache) {
        prefix = nil
        start = 0
        own = cache
    }

    /// A sequence over the positions filled in `cache`, of which the first `shared` stay unchanged in it.
    ///
    /// Copies the positions after them, and before them at most `Compute.sharedKeysMultiple` − 1; `cache` may be
    /// truncated to `shared` afterwards.
    /// - Parameter capacity: the number of positions to have room for, the shared ones included.
    package init(of cache: KVCache, shared: Int, capacity: Int) {
        prefix = cache
        start = shared - shared % Compute.sharedKeysMultiple
        own = cache.suffix(from: start, capacity: capacity - start)
    }

    /// Positions filled.
    var count: Int { start + own.count }

    /// Room for one more position in a layer, its key and its value: [1, h_kv · d] each.
    func next(layer: Int) -> (key: MatrixView, value: MatrixView) {
        let last = own.count..<own.count + 1
        return (
            own.keys(layer: layer, rows: last.upperBound).rows(last),
            own.values(layer: layer, rows: last.upperBound).rows(last)
        )
    }

    /// The keys and values of a layer, up to the position of `next`.
    func rows(layer: Int) -> [Compute.KeyValueRows] {
        let last = own.count + 1
        let rest = Compute.KeyValueRows(
            keys: own.keys(layer: layer, rows: last), values: own.values(layer: layer, rows: last))
        guard let prefix, start > 0 else { return [rest] }
        let shared = Compute.KeyValueRows(
            keys: prefix.keys(layer: layer, rows: start), values: prefix.values(layer: layer, rows: start))
        return [shared, rest]
    }

    /// Counts the position of `next` as filled, once all layers are.
    func advance() { own.count += 1 }
}
