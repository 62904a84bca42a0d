internal import Glibc
internal import Tensors

/// Sums, layer by layer, how much attention rows give to the parts of their context, over all heads.
///
/// Letters: h heads, S keys.
package final class AttentionProfile: AttentionObserver {
    /// What a position of the language model's input is.
    package enum Part: Int, Sendable, CaseIterable {
        /// A vision token.
        case vision
        /// Text of the prompt.
        case instruction
        /// A token of the answer.
        case answer
    }

    /// Means over the rows of one part, in one layer.
    package struct Shares: Sendable {
        /// Rows recorded.
        package fileprivate(set) var rows = 0
        /// The share of attention on each part, in the order of `Part`; they sum to 1.
        package fileprivate(set) var parts = [Double](repeating: 0, count: Part.allCases.count)
        /// Entropy of the attention over vision tokens, normalized to 1, in bits; mean over heads.
        package fileprivate(set) var visionEntropy = 0.0
    }

    private let vision: Range<Int>
    private let promptRows: Int
    private let heads: [Int]
    private var current = Part.instruction
    private var sums: [[Shares]]  // [parts][layers]

    /// - Parameters:
    ///   - vision: positions of the vision tokens.
    ///   - promptRows: rows of the prompt; later ones are the answer.
    package init(vision: Range<Int>, promptRows: Int, layers: Int, heads: Int) {
        self.vision = vision
        self.promptRows = promptRows
        self.heads = Array(0..<heads)
        sums = Part.allCases.map { _ in Array(repeating: Shares(), count: layers) }
        super.init()
    }

    /// What the position `row` is.
    private func part(of row: Int) -> Part {
        vision.contains(row) ? .vision : row < promptRows ? .instruction : .answer
    }

    /// The next row to be recorded is at this position.
    package func begin(row: Int) { current = part(of: row) }

    override func receiver(layer: Int) -> Compute.WeightsReceiver? {
        Compute.WeightsReceiver(heads: heads) { [self] in add($0, layer: layer) }
    }

    /// Adds the attention weights [h, S] of the current row.
    private func add(_ weights: MatrixView, layer: Int) {
        var sum = sums[current.rawValue][layer]
        sum.rows += 1
        let scale = 1 / Double(weights.rows)
        for head in 0..<weights.rows {
            let row = weights.rows(head..<head + 1).floats
            var (parts, entropy) = ([0.0, 0.0, 0.0], 0.0)
            for key in 0..<weights.columns { parts[part(of: key).rawValue] += Double(row[key]) }
            for (index, value) in parts.enumerated() { sum.parts[index] += value * scale }
            let total = parts[Part.vision.rawValue]
            for key in vision.clamped(to: 0..<weights.columns) where row[key] > 0 && total > 0 {
                let share = Double(row[key]) / total
                entropy -= share * log2(share)
            }
            sum.visionEntropy += entropy * scale
        }
        sums[current.rawValue][layer] = sum
    }

    /// The means over all rows of `part`, per layer; nil if none was recorded.
    package func shares(of part: Part) -> [Shares]? {
        let layers = sums[part.rawValue]
        guard let rows = layers.first?.rows, rows > 0 else { return nil }
        return layers.map { layer in
            var mean = layer
            mean.parts = layer.parts.map { $0 / Double(layer.rows) }
            mean.visionEntropy = layer.visionEntropy / Double(layer.rows)
            return mean
        }
    }
}
