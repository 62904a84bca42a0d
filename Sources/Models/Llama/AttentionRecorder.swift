public import Checkpoints
internal import Tensors

/// Gets attention weights while the language model computes rows.
public class AttentionObserver {
    init() {}

    /// Starts the next row.
    func beginRow() {}

    /// Gets a layer's attention weights of the current row; nil if none of its heads is recorded.
    func receiver(layer: Int) -> Compute.WeightsReceiver? { nil }
}

/// Records the attention of selected heads over the vision tokens, for the rows from which an answer was sampled.
///
/// Heads form groups; a group's attention is the mean over its heads. Letters: B frames, C2 vision tokens per frame, S
/// keys. Memory: 8 bytes per group and frame, and 8 per group and vision token.
public final class AttentionRecorder: AttentionObserver {
    /// [groups][B]: attention summed over the recorded rows and the frame's tokens.
    public private(set) var frames: [[Double]]
    /// [groups][recorded rows]: the share of the row's attention that was on frames.
    public private(set) var rows: [[Double]]

    private let layers: [Int: (heads: [Int], groups: [[Int]])]  // groups: of each head, the groups it belongs to
    private let headCounts: [Int]  // [groups]
    private let tokens: Range<Int>
    private let tokensPerFrame: Int  // C2
    private var current: [[Double]]  // [groups][B · C2], of the current row

    /// A recorder for one answer.
    ///
    /// - Parameters:
    ///   - groups: the heads of each group; no group may be empty.
    ///   - tokens: positions of the vision tokens.
    ///   - tokensPerFrame: vision tokens per frame, C2.
    public init(groups: [[AttentionHead]], tokens: Range<Int>, tokensPerFrame: Int) {
        var layers: [Int: (heads: [Int], groups: [[Int]])] = [:]
        for (group, heads) in groups.enumerated() {
            for head in heads {
                var layer = layers[head.layer] ?? ([], [])
                if let index = layer.heads.firstIndex(of: head.head) {
                    layer.groups[index].append(group)
                } else {
                    layer.heads.append(head.head)
                    layer.groups.append([group])
                }
                layers[head.layer] = layer
            }
        }
        self.layers = layers
        headCounts = groups.map(\.count)
        self.tokens = tokens
        self.tokensPerFrame = tokensPerFrame
        frames = groups.map { _ in Array(repeating: 0, count: tokens.count / tokensPerFrame) }
        current = groups.map { _ in Array(repeating: 0, count: tokens.count) }
        rows = groups.map { _ in [] }
    }

    override func receiver(layer index: Int) -> Compute.WeightsReceiver? {
        guard let layer = layers[index] else { return nil }
        return Compute.WeightsReceiver(heads: layer.heads) { self.add($0, groups: layer.groups) }
    }

    /// Adds the attention weights [heads, S] of the current row.
    private func add(_ weights: MatrixView, groups: [[Int]]) {
        precondition(weights.columns >= tokens.upperBound, "a recorded row precedes the end of the vision tokens")
        for (head, groupsOfHead) in groups.enumerated() {
            let row = weights.rows(head..<head + 1).floats + tokens.lowerBound
            for group in groupsOfHead {
                current[group].withUnsafeMutableBufferPointer { sums in
                    for token in sums.indices { sums[token] += Double(row[token]) }
                }
            }
        }
    }

    /// Starts the next row; the previous one is discarded unless `keepRow` was called.
    override func beginRow() {
        for group in current.indices {
            for token in current[group].indices { current[group][token] = 0 }
        }
    }

    /// Records the current row, because an ID of the answer was sampled from it.
    func keepRow() {
        for group in frames.indices {
            var total = 0.0
            for frame in frames[group].indices {
                let ofFrame = current[group][frame * tokensPerFrame..<(frame + 1) * tokensPerFrame]
                let mass = ofFrame.reduce(0, +) / Double(headCounts[group])
                frames[group][frame] += mass
                total += mass
            }
            rows[group].append(total)
        }
    }
}
