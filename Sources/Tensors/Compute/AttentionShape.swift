// Letters: T query rows, S keys, h query heads, h_kv KV heads, d head size.

/// The head layout of an attention layer.
public struct AttentionShape: Sendable, Equatable {
    /// Query heads, h.
    public let heads: Int
    /// KV heads, h_kv; each is shared by `heads / keyValueHeads` query heads.
    public let keyValueHeads: Int
    /// Elements per head, d.
    public let headSize: Int

    /// A layout of h heads over h_kv KV heads, of which h must be a multiple.
    public init(heads: Int, keyValueHeads: Int, headSize: Int) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
    }

    /// Query heads that share a KV head, h / h_kv.
    var queriesPerGroup: Int { heads / keyValueHeads }
}

/// The keys that each query row attends to.
public enum AttentionMask: Sendable, Equatable {
    /// Every row attends to all keys.
    case none
    /// Row t attends to keys 0...`offset` + t; `offset` is the position of row 0.
    case causal(offset: Int)

    /// The mask of the rows from row `first` on.
    func rows(from first: Int) -> AttentionMask {
        switch self {
        case .none: .none
        case .causal(let offset): .causal(offset: offset + first)
        }
    }

    /// The number of keys that row 0 attends to, and how many more each next row does; it may exceed `keys`.
    func unmasked(of keys: Int) -> (count: Int, step: Int) {
        switch self {
        case .none: (keys, 0)
        case .causal(let offset): (offset + 1, 1)
        }
    }
}
