/// The tokens that may come next in texts of one grammar.
///
/// A token is allowed if all of its bytes keep the automaton alive. Every byte is a token of its own, so that a text
/// can be completed with as many tokens as it needs bytes. The sets are kept per state. Not thread-safe.
package final class TokenFilter {
    /// The grammar of the texts.
    package let grammar: ByteGrammar
    private let trie: TokenTrie
    private var kept: [ByteGrammar.State: [UInt64]] = [:]
    /// Most sets that are kept: 8 MB with 128,256 tokens.
    private static let keptLimit = 512

    /// A filter for one grammar and one vocabulary.
    package init(_ grammar: ByteGrammar, _ trie: TokenTrie) { (self.grammar, self.trie) = (grammar, trie) }

    /// The tokens that may follow `state`, one bit for each ID.
    ///
    /// - Parameter tokensLeft: most tokens until the end of the text, this one included; after each allowed token, the
    ///   text can be completed with those left. nil: no limit.
    package func tokens(after state: ByteGrammar.State, tokensLeft: Int? = nil) -> [UInt64] {
        if let tokensLeft, tokensLeft - 1 < grammar.worst {
            return search(state, fewest: grammar.fewestBytes, limit: tokensLeft - 1)
        }
        let key = grammar.canonical(state, tokenBytes: trie.longest)
        if let known = kept[key] { return known }
        let found = search(state, fewest: { _ in 0 }, limit: 0)
        if kept.count >= Self.keptLimit { kept.removeAll(keepingCapacity: true) }
        kept[key] = found
        return found
    }

    /// Walks the trie and the automaton together; leaves out a branch as soon as the automaton is dead.
    private func search(
        _ start: ByteGrammar.State, fewest: (ByteGrammar.State) -> Int, limit: Int
    ) -> [UInt64] {
        var found = [UInt64](repeating: 0, count: trie.words)
        // The state at each depth of the current branch.
        var states = [ByteGrammar.State](repeating: start, count: trie.longest + 1)
        let (grammar, trie) = (grammar, trie)
        let bytes = trie.bytes.span
        let depths = trie.depths.span
        let ends = trie.ends.span
        let first = trie.firstTokens.span
        let tokens = trie.tokens.span
        var node = 0
        while node < bytes.count {
            let depth = Int(depths[node])
            guard let state = grammar.next(states[depth - 1], bytes[node]) else {
                node = Int(ends[node])
                continue
            }
            states[depth] = state
            let own = Int(first[node])..<Int(first[node + 1])
            if !own.isEmpty, fewest(state) <= limit {
                for index in own {
                    let id = Int(tokens[index])
                    found[id >> 6] |= 1 << UInt64(id & 63)
                }
            }
            node += 1
        }
        return found
    }
}
