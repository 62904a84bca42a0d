internal import Glibc

/// The tokens of a vocabulary by their bytes, as a tree in depth-first order.
///
/// Special tokens and those without bytes are left out: they are no text. Memory: 11 bytes per node and 4 per token.
package struct TokenTrie: Sendable {
    /// A node's byte and its depth, from 1.
    let bytes: [UInt8]
    let depths: [UInt16]
    /// The index after a node's descendants.
    let ends: [Int32]
    /// Index of a node's first token in `tokens`; one more than there are nodes.
    let firstTokens: [Int32]
    let tokens: [Int32]
    /// Bytes of the longest token.
    package let longest: Int
    /// 64-bit words of a set of tokens, one bit for each ID.
    package let words: Int

    /// The text tokens of a tokenizer.
    ///
    /// - Parameters:
    ///   - vocabularySize: the model's number of IDs, which may be more than the tokenizer has.
    ///   - excluded: IDs that are not text for the model, such as those that end it.
    package init(_ tokenizer: any Tokenizer, vocabularySize: Int, excluding excluded: Set<Int32>) {
        words = (vocabularySize + 63) / 64
        var arena: [UInt8] = []
        var entries: [(start: Int, count: Int, id: Int32)] = []
        for id in 0..<Int32(clamping: min(vocabularySize, tokenizer.vocabularySize)) {
            guard !tokenizer.isSpecial(id), !excluded.contains(id) else { continue }
            let token = tokenizer.tokenBytes(id)
            guard !token.isEmpty, token.count <= Int(UInt16.max) else { continue }
            entries.append((arena.count, token.count, id))
            arena += token
        }
        longest = entries.map(\.count).max() ?? 0
        var (bytes, depths, ends) = ([UInt8](), [UInt16](), [Int32]())
        var (firstTokens, tokens) = ([Int32](), [Int32]())
        arena.withUnsafeBufferPointer { arena in
            guard let base = arena.baseAddress else { return }
            entries.sort { one, other in
                let order = memcmp(base + one.start, base + other.start, min(one.count, other.count))
                return order != 0 ? order < 0 : one.count != other.count ? one.count < other.count : one.id < other.id
            }
            // The nodes of the token before, from the root.
            var path: [Int] = []
            var before = arena[0..<0]
            for entry in entries {
                let token = arena[entry.start..<entry.start + entry.count]
                let shared = zip(before, token).prefix { $0 == $1 }.count
                for node in path[shared...] { ends[node] = Int32(bytes.count) }
                path.removeSubrange(shared...)
                for byte in token.dropFirst(shared) {
                    path.append(bytes.count)
                    bytes.append(byte)
                    depths.append(UInt16(path.count))
                    ends.append(0)
                    firstTokens.append(Int32(tokens.count))
                }
                tokens.append(entry.id)
                before = token
            }
            for node in path { ends[node] = Int32(bytes.count) }
        }
        firstTokens.append(Int32(tokens.count))
        (self.bytes, self.depths, self.ends) = (bytes, depths, ends)
        (self.firstTokens, self.tokens) = (firstTokens, tokens)
    }
}
