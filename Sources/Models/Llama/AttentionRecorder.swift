public import Checkpoints
internal import Tensors

/// Records the attention of selected heads over the vision tokens, for the rows from which an answer was sampled.
///
/// Heads form groups; a group's attention is the mean over its heads. Letters: B frames, C2 vision tokens per frame, S
/// keys. Memory: 8 bytes per group and frame.
public final class AttentionRecorder {
    /// [groups][B]: attention summed over the recorded rows and the frame's tokens.
    public private(set) var frames: [[Double]]
    /// [groups][recorded rows]: the share of the row's attention that was on frames.
    public private(set) var rows: [[Double]]

    private let layers: [Int: (heads: [Int], groups: [[Int]])]  // groups: of each head, the groups it belongs to
    private let sizes: [Int]
    private let tokens: Range<Int>
    private let perFrame: Int  // C2
    private var pending: [[Double]]  // [groups][B], of the current row

    /// - Parameters:
    ///   - groups: the heads of each group; no group may be empty.
    ///   - tokens: positions of the vision tokens.
    ///   - perFrame: vision tokens per frame, C2.
    public init(groups: [[AttentionHead]], tokens: Range<Int>, perFrame: Int) {
        var layers: [Int: (heads: [Int], groups: [[Int]])] = [:]
        for (group, heads) in groups.enumerated() {
            for head in heads {
                var own = layers[head.layer] ?? ([], [])
                if let place = own.heads.firstIndex(of: head.head) {
                    own.groups[place].append(group)
                } else {
                    own.heads.append(head.head)
                    own.groups.append([group])
                }
                layers[head.layer] = own
            }
        }
        self.layers = layers
        sizes = groups.map(\.count)
        self.tokens = tokens
        self.perFrame = perFrame
        let none = [Double](repeating: 0, count: tokens.count / perFrame)
        frames = groups.map { _ in none }
        pending = frames
        rows = groups.map { _ in [] }
    }

    /// The heads of `layer` to record and the function that receives their weights; nil if there are none.
    func watched(layer: Int) -> (heads: [Int], look: (MatrixView) -> Void)? {
        guard let own = layers[layer] else { return nil }
        return (own.heads, { self.add($0, groups: own.groups) })
    }

    /// Adds the attention weights [heads, S] of the current row.
    private func add(_ weights: MatrixView, groups: [[Int]]) {
        precondition(weights.columns >= tokens.upperBound, "a row before the vision tokens' end is watched")
        for (place, own) in groups.enumerated() {
            let row = weights.rows(place..<place + 1).floats + tokens.lowerBound
            for group in own {
                for token in 0..<tokens.count { pending[group][token / perFrame] += Double(row[token]) }
            }
        }
    }

    /// Starts the next row; the previous one is discarded unless `keepRow` was called.
    func beginRow() {
        for group in pending.indices {
            for frame in pending[group].indices { pending[group][frame] = 0 }
        }
    }

    /// Records the current row, because an ID of the answer was sampled from it.
    func keepRow() {
        for group in frames.indices {
            var total = 0.0
            for frame in frames[group].indices {
                let mass = pending[group][frame] / Double(sizes[group])
                frames[group][frame] += mass
                total += mass
            }
            rows[group].append(total)
        }
    }
}
