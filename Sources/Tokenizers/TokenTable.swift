/// The vocabulary, from ID to bytes and from bytes to ID, in one byte arena.
///
/// `set` fills it in any order; `finish` checks that the IDs are dense and builds the index.
struct TokenTable: Sendable {
    /// 1,048,576 entries: four times the largest vocabulary in use.
    static let maximumCount = 1 << 20
    /// 4096 bytes: Llama 3's longest token has 128.
    static let maximumTokenBytes = 4096

    private var arena: [UInt8] = []
    private var starts: [Int32] = []
    private var lengths: [Int32] = []  // -1: no such ID
    private var slots: [Int32] = []  // open addressing over IDs, -1: free
    private var mask = 0

    var count: Int { lengths.count }

    /// True if the ID has been set.
    func has(_ id: Int) -> Bool { lengths.indices.contains(id) && lengths[id] >= 0 }

    /// Sets an ID's bytes; returns the reason if they are rejected, else nil.
    mutating func set(_ id: Int, _ bytes: some Collection<UInt8>) -> String? {
        guard id >= 0, id < Self.maximumCount else { return "id \(id) is above the limit of \(Self.maximumCount - 1)" }
        let length = bytes.count
        guard length <= Self.maximumTokenBytes else {
            return "the token of id \(id) has \(length) bytes, above the limit of \(Self.maximumTokenBytes)"
        }
        guard !has(id) else { return "id \(id) belongs to two tokens" }
        guard arena.count + length <= TokenizerFile.maximumBytes else { return "the vocabulary is too large" }
        while lengths.count <= id {
            lengths.append(-1)
            starts.append(0)
        }
        starts[id] = Int32(arena.count)
        lengths[id] = Int32(length)
        arena.append(contentsOf: bytes)
        return nil
    }

    /// Checks that the IDs are dense and indexes those for which `isIndexed` is true; returns the reason if it fails,
    /// else nil.
    mutating func finish(isIndexed: (Int) -> Bool) -> String? {
        if let missing = lengths.firstIndex(of: -1) {
            return "ids are not dense: \(missing) is missing below \(lengths.count - 1)"
        }
        var capacity = 16
        while capacity < lengths.count * 2 { capacity *= 2 }
        mask = capacity - 1
        slots = [Int32](repeating: -1, count: capacity)
        return arena.withUnsafeBytes { bytes -> String? in
            for id in lengths.indices where isIndexed(id) {
                let token = UnsafeRawBufferPointer(
                    rebasing: bytes[Int(starts[id])..<Int(starts[id]) + Int(lengths[id])])
                var slot = Self.hash(token) & mask
                while slots[slot] >= 0 {
                    let other = Int(slots[slot])
                    if equal(other, token, in: bytes) { return "ids \(other) and \(id) have the same token" }
                    slot = (slot + 1) & mask
                }
                slots[slot] = Int32(id)
            }
            return nil
        }
    }

    /// The bytes of an ID; empty if it does not exist.
    func bytes(_ id: Int) -> ArraySlice<UInt8> {
        guard has(id) else { return [] }
        return arena[Int(starts[id])..<Int(starts[id]) + Int(lengths[id])]
    }

    /// The ID of a token; nil if it is not indexed.
    func id(of token: UnsafeRawBufferPointer) -> Int32? {
        guard !slots.isEmpty else { return nil }
        return arena.withUnsafeBytes { bytes -> Int32? in
            var slot = Self.hash(token) & mask
            while slots[slot] >= 0 {
                if equal(Int(slots[slot]), token, in: bytes) { return slots[slot] }
                slot = (slot + 1) & mask
            }
            return nil
        }
    }

    func id(of token: [UInt8]) -> Int32? { token.withUnsafeBytes { id(of: $0) } }
    func id(of token: ArraySlice<UInt8>) -> Int32? { token.withUnsafeBytes { id(of: $0) } }

    private func equal(_ id: Int, _ token: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer) -> Bool {
        guard Int(lengths[id]) == token.count else { return false }
        return UnsafeRawBufferPointer(rebasing: bytes[Int(starts[id])..<Int(starts[id]) + token.count])
            .elementsEqual(token)
    }

    /// Seeded per process, so that a file cannot choose its collisions.
    private static func hash(_ token: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: token)
        return hasher.finalize()
    }
}
