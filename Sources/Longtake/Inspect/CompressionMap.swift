internal import Glibc

/// Where the compressor looks in one frame: its attention over the frame's patches.
package struct CompressionMap: Sendable, Encodable {
    /// Frame number in the sampling, from 0.
    package let frame: Int
    /// Seconds on the file's timeline; 0 for a still image.
    package let time: Double
    /// Patches per row and per column.
    package let grid: Int
    /// Per vision token [grid · grid], rows from the top; each sums to 1.
    package let weights: [[Float]]
    /// Shannon entropy of `mean` in bits.
    package let entropy: Double
    /// Entropy of attention that is the same on all patches, in bits.
    package let evenEntropy: Double

    private enum CodingKeys: String, CodingKey {
        case frame, time, grid, weights
        case entropy = "entropy_bits"
        case evenEntropy = "even_entropy_bits"
    }

    /// The attention of each vision token over a frame's grid · grid patches.
    init(frame: Int, time: Double, grid: Int, weights: [[Float]]) {
        self.frame = frame
        self.time = time
        self.grid = grid
        self.weights = weights
        entropy = Self.mean(weights).reduce(0.0) { $1 > 0 ? $0 - Double($1) * log2(Double($1)) : $0 }
        evenEntropy = log2(Double(max(grid * grid, 1)))
    }

    /// The mean over the vision tokens, [grid · grid].
    package var mean: [Float] { Self.mean(weights) }

    private static func mean(_ weights: [[Float]]) -> [Float] {
        guard var sum = weights.first else { return [] }
        for other in weights.dropFirst() {
            for index in sum.indices { sum[index] += other[index] }
        }
        return sum.map { $0 / Float(weights.count) }
    }
}
