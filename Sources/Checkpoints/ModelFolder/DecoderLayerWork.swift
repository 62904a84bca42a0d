/// Operations of one decoder layer per token and per query-key pair.
struct DecoderLayerWork {
    /// The layer's products, for one token.
    let perToken: Double
    /// Those of them that give the token's key and value.
    let keysAndValues: Double
    /// Scores and weighted sum, per query and key.
    let perPair: Double

    init(_ config: LanguageConfig) {
        let width = Double(config.hiddenSize), inner = Double(config.intermediateSize)
        let queries = Double(config.headCount * config.headSize)
        keysAndValues = 2 * 2 * width * Double(config.keyValueHeadCount * config.headSize)
        perToken = keysAndValues + 2 * 2 * width * queries + 2 * 3 * width * inner
        perPair = 4 * queries
    }

    /// Operations of `rows` causal positions after `known` others, all of them through the whole layer.
    func whole(rows: Int, after known: Int) -> Double {
        let count = Double(rows)
        return count * perToken + Self.pairs(rows: rows, after: known) * perPair
    }

    /// Query-key pairs: a position attends to itself and to all before it.
    static func pairs(rows: Int, after known: Int) -> Double {
        Double(rows) * (2 * Double(known) + Double(rows) + 1) / 2
    }
}

extension LanguageConfig {
    /// Operations of `rows` positions after `known` others through the layers.
    ///
    /// The last layer computes only the last position; the others give it keys and values.
    package func layerWork(rows: Int, after known: Int) -> Double {
        guard layerCount > 0 else { return 0 }
        let layer = DecoderLayerWork(self)
        let last =
            Double(rows) * layer.keysAndValues + (layer.perToken - layer.keysAndValues)
            + Double(known + rows) * layer.perPair
        return Double(layerCount - 1) * layer.whole(rows: rows, after: known) + last
    }

    /// The part of `layerWork` that is attention's scores and weighted sums.
    package func attentionWork(rows: Int, after known: Int) -> Double {
        guard layerCount > 0 else { return 0 }
        let pairs = Double(layerCount - 1) * DecoderLayerWork.pairs(rows: rows, after: known) + Double(known + rows)
        return pairs * DecoderLayerWork(self).perPair
    }

    /// Operations of the output head for one position.
    package var headWork: Double { 2 * Double(hiddenSize) * Double(vocabularySize) }
}
