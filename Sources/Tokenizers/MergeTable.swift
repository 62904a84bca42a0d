/// Byte pair merges: for each pair of adjacent symbols, its rank and the ID it becomes.
///
/// A symbol is an ID, or a negative value for a character outside the vocabulary. Merging n symbols costs O(n log n).
struct MergeTable: Sendable {
    /// The maximum number of merges, 4,194,304: fifteen times Llama 3's 280,147.
    static let maximumCount = 1 << 22

    private var keys: [UInt64]  // left << 32 | right; `free` if empty
    private var values: [UInt64]  // rank << 32 | id
    private var mask: Int
    private var used = 0
    private let seed = UInt64.random(in: .min ... .max) | 1

    // Never a valid key: its left symbol would be -1, which is not used.
    private static let free = UInt64.max

    init(expecting count: Int) {
        var capacity = 16
        while capacity < count * 2 { capacity *= 2 }
        keys = [UInt64](repeating: Self.free, count: capacity)
        values = [UInt64](repeating: 0, count: capacity)
        mask = capacity - 1
    }

    /// The symbol of a character outside the vocabulary.
    static func symbol(ofUnknown scalar: UInt32) -> Int32 { -2 - Int32(bitPattern: scalar) }
    /// The character of a negative symbol.
    static func scalar(ofUnknown symbol: Int32) -> UInt32 { UInt32(bitPattern: -2 - symbol) }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func slot(_ key: UInt64) -> Int {
        var mixed = (key ^ seed) &* 0x9E37_79B9_7F4A_7C15
        mixed ^= mixed >> 32
        mixed = mixed &* seed
        return Int(truncatingIfNeeded: mixed >> 20) & mask
    }

    /// Adds a merge; a later one of the same pair replaces the earlier one, as in the reference.
    mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, id: Int32) {
        if (used + 1) * 2 > keys.count { grow() }
        let key = Self.key(left, right)
        var slot = slot(key)
        while keys[slot] != Self.free, keys[slot] != key { slot = (slot + 1) & mask }
        if keys[slot] == Self.free { used += 1 }
        keys[slot] = key
        values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: id))
    }

    private mutating func grow() {
        let (oldKeys, oldValues) = (keys, values)
        keys = [UInt64](repeating: Self.free, count: oldKeys.count * 2)
        values = [UInt64](repeating: 0, count: oldKeys.count * 2)
        mask = keys.count - 1
        for (key, value) in zip(oldKeys, oldValues) where key != Self.free {
            var slot = slot(key)
            while keys[slot] != Self.free { slot = (slot + 1) & mask }
            keys[slot] = key
            values[slot] = value
        }
    }

    /// rank << 32 | ID of a pair; nil if it has no merge.
    @inline(__always)
    private func find(_ left: Int32, _ right: Int32) -> UInt64? {
        let key = Self.key(left, right)
        var slot = slot(key)
        while true {
            if keys[slot] == key { return values[slot] }
            if keys[slot] == Self.free { return nil }
            slot = (slot + 1) & mask
        }
    }

    /// Merges until no pair is left: the lowest rank first, at equal rank the leftmost.
    func merge(_ symbols: inout [Int32]) {
        let count = symbols.count
        guard count > 1, count < Int(Int32.max) else { return }
        var next = [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count { buffer[index] = index + 1 < count ? Int32(index + 1) : -1 }
            initialized = count
        }
        var previous = [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count { buffer[index] = Int32(index) - 1 }
            initialized = count
        }
        // rank << 32 | position of the left symbol, so that the smallest value is the next merge.
        var queue = MinimumHeap()
        for index in 0..<count - 1 {
            if let found = find(symbols[index], symbols[index + 1]) {
                queue.appendUnordered(found & 0xFFFF_FFFF_0000_0000 | UInt64(index))
            }
        }
        queue.order()

        let dead: Int32 = -1
        while let entry = queue.pop() {
            let left = Int(entry & 0xFFFF_FFFF)
            guard symbols[left] != dead, next[left] >= 0 else { continue }
            let right = Int(next[left])
            // An entry may be stale: if either symbol has changed since, the pair has another rank.
            guard let found = find(symbols[left], symbols[right]), found >> 32 == entry >> 32 else { continue }
            symbols[left] = Int32(truncatingIfNeeded: found & 0xFFFF_FFFF)
            symbols[right] = dead
            let after = next[right]
            next[left] = after
            if after >= 0 { previous[Int(after)] = Int32(left) }
            let before = previous[left]
            if before >= 0, let found = find(symbols[Int(before)], symbols[left]) {
                queue.push(found & 0xFFFF_FFFF_0000_0000 | UInt64(before))
            }
            if after >= 0, let found = find(symbols[left], symbols[Int(after)]) {
                queue.push(found & 0xFFFF_FFFF_0000_0000 | UInt64(left))
            }
        }
        symbols.removeAll { $0 == dead }
    }
}

/// A binary heap of values, smallest first.
private struct MinimumHeap {
    private var items: [UInt64] = []

    mutating func appendUnordered(_ item: UInt64) { items.append(item) }

    mutating func order() {
        var index = items.count / 2
        while index > 0 {
            index -= 1
            sink(index)
        }
    }

    mutating func push(_ item: UInt64) {
        items.append(item)
        var index = items.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard items[parent] > item else { break }
            items[index] = items[parent]
            index = parent
        }
        items[index] = item
    }

    mutating func pop() -> UInt64? {
        guard let last = items.popLast() else { return nil }
        guard let first = items.first else { return last }
        items[0] = last
        sink(0)
        return first
    }

    private mutating func sink(_ start: Int) {
        let item = items[start]
        var index = start
        while true {
            var child = 2 * index + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            guard items[child] < item else { break }
            items[index] = items[child]
            index = child
        }
        items[index] = item
    }
}
