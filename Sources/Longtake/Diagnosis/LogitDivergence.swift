internal import Glibc
internal import Models

/// Distributions over the next token, kept to be compared with those of another computation.
struct LogitRecord {
    /// Logits [V], one row per token.
    private(set) var rows: [[Float]] = []

    mutating func append(_ logits: UnsafeBufferPointer<Float>) { rows.append(Array(logits)) }

    /// The Kullback–Leibler divergence D(kept ‖ other) in nats of row `index` from other logits [V].
    ///
    /// - Throws: `ModelError` `not_a_number` if a logit is not finite.
    func divergence(_ index: Int, from other: UnsafeBufferPointer<Float>) throws -> Double {
        try rows[index].withUnsafeBufferPointer { kept in
            let (keptSum, otherSum) = (try LanguageModel.logSumExp(kept), try LanguageModel.logSumExp(other))
            var sum = 0.0
            for id in kept.indices {
                let logP = Double(kept[id]) - keptSum
                sum += exp(logP) * (logP - (Double(other[id]) - otherSum))
            }
            // Rounding can leave a difference of equal distributions slightly below 0.
            return max(0, sum)
        }
    }
}
