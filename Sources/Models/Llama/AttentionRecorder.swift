public import Checkpoints
internal import Tensors

/// Where the rows looked that an answer was read from: the attention of chosen heads over the vision tokens.
///
/// Heads come in groups; a group's attention is the mean of its heads'. Bytes: 8 per group and frame.
public final class AttentionRecorder {
    /// Per group and frame: the attention summed over the kept rows and the frame's tokens.
    public private(set) var frames: [[Double]]
    /// Per group and kept row: the share of its attention that was on frames at all.
    public private(set) var rows: [[Double]]

    private let layers: [Int: (heads: [Int], groups: [[Int]])]  // groups: per head, those it belongs to
    private let sizes: [Int]
    private let tokens: Range<Int>
    private let perFrame: Int
    private var pending: [[Double]]

    /// - Parameters:
    ///   - groups: the heads of each group; none is empty.
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

    /// What a layer is to show of its next row.
    func watched(layer: Int) -> (heads: [Int], look: (MatrixView) -> Void)? {
        guard let own = layers[layer] else { return nil }
        return (own.heads, { self.add($0, groups: own.groups) })
    }

    /// Adds the attention weights [heads, S] of the present row.
    private func add(_ weights: MatrixView, groups: [[Int]]) {
        precondition(weights.columns >= tokens.upperBound, "a row before the vision tokens' end is watched")
        for (place, own) in groups.enumerated() {
            let row = weights.rows(place..<place + 1).floats + tokens.lowerBound
            for group in own {
                for token in 0..<tokens.count { pending[group][token / perFrame] += Double(row[token]) }
            }
        }
    }

    /// The next row comes; one that was not kept is forgotten.
    func beginRow() {
        for group in pending.indices {
            for frame in pending[group].indices { pending[group][frame] = 0 }
        }
    }

    /// An id of the answer was read from the present row.
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
