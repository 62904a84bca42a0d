internal import Glibc

/// Where the compressor looks in one frame: its attention over the frame's patches.
package struct CompressionMap: Sendable, Codable, Equatable {
    /// Frame number in the sampling, from 0.
    package let frame: Int
    /// Seconds on the file's timeline; 0 for a still image.
    package let time: Double
    /// Patches per row and per column.
    package let grid: Int
    /// Per vision token [grid · grid], rows from the top; each sums to 1.
    package let weights: [[Float]]

    /// The mean over the vision tokens, [grid · grid].
    package var mean: [Float] {
        guard var sum = weights.first else { return [] }
        for other in weights.dropFirst() {
            for index in sum.indices { sum[index] += other[index] }
        }
        return sum.map { $0 / Float(weights.count) }
    }

    /// Shannon entropy of `mean` in bits; log2 of the number of patches if it is even.
    package var entropy: Double {
        mean.reduce(0.0) { $1 > 0 ? $0 - Double($1) * log2(Double($1)) : $0 }
    }

    /// Entropy of attention that is the same on all patches, in bits.
    package var evenEntropy: Double { log2(Double(max(grid * grid, 1))) }

    private enum CodingKeys: String, CodingKey {
        case frame, time, grid, weights
    }

    private enum ReportKeys: String, CodingKey {
        case entropy = "entropy_bits"
        case evenEntropy = "even_entropy_bits"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(frame, forKey: .frame)
        try container.encode(time, forKey: .time)
        try container.encode(grid, forKey: .grid)
        try container.encode(weights, forKey: .weights)
        var report = encoder.container(keyedBy: ReportKeys.self)
        try report.encode(entropy, forKey: .entropy)
        try report.encode(evenEntropy, forKey: .evenEntropy)
    }
}
