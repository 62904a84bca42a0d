internal import Checkpoints
internal import Glibc
internal import Tensors

// Letters: T rows, H width, V vocabulary.

extension LanguageModel {
    /// Rows whose logits are computed together: enough to use each weight of the output head many times.
    private static let logitRows = 64

    /// Computes the logits after each ID, given the IDs before it.
    ///
    /// - Parameter body: gets each ID's index and the logits [V] of the ID that follows it, valid during the call.
    /// - Throws: `ModelError` for more IDs than the context or an ID outside the vocabulary; errors of `body`.
    public func forEachLogits(
        after ids: [Int32], _ body: (_ index: Int, UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        try checkIDs(ids)
        let (width, vocabulary) = (config.hiddenSize, config.vocabularySize)
        let state = Buffer<Float>(count: min(ids.count, Self.sliceLength) * width)  // [T, H]
        let logits = Buffer<Float>(count: min(ids.count, Self.logitRows) * vocabulary)  // [T, V]
        let states = state.pointer
        let last = "hidden_\(config.layerCount)"
        var done = 0
        _ = try append(
            count: ids.count, to: makeCache(capacity: ids.count),
            trace: { name, rows in
                if name == last { states.update(from: rows.floats, count: rows.rows * width) }
            },
            progress: { count in
                let slice = MatrixView(states, rows: count - done, columns: width)
                for start in stride(from: 0, to: slice.rows, by: Self.logitRows) {
                    let range = start..<min(start + Self.logitRows, slice.rows)
                    let rows = slice.rows(range)
                    finalNorm(rows, into: rows)
                    let target = MatrixView(logits.pointer, rows: range.count, columns: vocabulary)
                    // oneDNN has no product of f32 rows and bf16 weights.
                    if compute.precision == .f32 {
                        compute.linear(rows, head, into: target)
                    } else {
                        compute.linearRows(rows, head, into: target)
                    }
                    for row in 0..<range.count {
                        try body(
                            done + start + row,
                            UnsafeBufferPointer(start: logits.pointer + row * vocabulary, count: vocabulary))
                    }
                }
                done = count
            }
        ) { range, block in
            for index in range {
                let row = index - range.lowerBound
                embed(ids[index], into: block.rows(row..<row + 1).floats)
            }
        }
    }

    /// The natural logarithm of the probability of each ID but the first, given those before it: ids.count - 1 values.
    ///
    /// - Throws: as `forEachLogits`; `ModelError` `not_a_number` if a logit is not finite.
    public func logProbabilities(of ids: [Int32]) throws -> [Double] {
        var found: [Double] = []
        try forEachLogits(after: ids) { index, logits in
            guard index + 1 < ids.count else { return }
            found.append(Double(logits[Int(ids[index + 1])]) - (try Self.logSumExp(logits)))
        }
        return found
    }

    /// Computes the logits before each ID of an answer, given the prompt and the answer's IDs before it.
    ///
    /// - Parameters:
    ///   - shared: as of `generate`; it is truncated to the shared rows afterwards.
    ///   - body: gets the ID's index in the answer and the logits [V], valid during the call.
    /// - Throws: `ModelError` if prompt and answer do not fit the context.
    public func forEachLogits(
        of answer: [Int32], after prompt: FusedPrompt, shared: KVCache? = nil,
        _ body: (_ index: Int, UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        guard !answer.isEmpty else { return }
        let needed = prompt.count + answer.count
        guard needed <= config.maxPositions else {
            throw ModelError.context(
                needed: needed, limit: config.maxPositions, frames: prompt.visionTokens, tokensPerFrame: 1,
                other: needed - prompt.visionTokens)
        }
        let cache = shared ?? makeCache(capacity: needed)
        let known = cache.count
        defer { if shared != nil { cache.truncate(to: known) } }
        var hidden = append(count: prompt.count - known, to: cache) {
            prompt.write($0.lowerBound + known..<$0.upperBound + known, into: $1)
        }
        let row = Buffer<Float>(count: config.vocabularySize)  // [V]
        for (index, id) in answer.enumerated() {
            logits(hidden, into: row.pointer)
            try body(index, UnsafeBufferPointer(start: row.pointer, count: config.vocabularySize))
            if index + 1 < answer.count {
                hidden = append(count: 1, to: cache) { embed(id, into: $1.floats) }
            }
        }
    }

    private func checkIDs(_ ids: [Int32]) throws {
        guard ids.count <= config.maxPositions else {
            throw ModelError.context(
                needed: ids.count, limit: config.maxPositions, frames: 0, tokensPerFrame: 1, other: ids.count)
        }
        if let unknown = ids.first(where: { !isInVocabulary($0) }) {
            throw ModelError(
                code: .badPrompt,
                message: "unknown token ID \(unknown); the model has 0 to \(config.vocabularySize - 1)")
        }
    }

    /// log Σ exp(logits): what turns a logit into the logarithm of a probability.
    ///
    /// - Throws: `ModelError` `not_a_number` if a logit is not finite.
    public static func logSumExp(_ logits: UnsafeBufferPointer<Float>) throws -> Double {
        guard let top = logits.max(), logits.allSatisfy(\.isFinite) else { throw ModelError.notANumber }
        return Double(top) + log(logits.reduce(0.0) { $0 + exp(Double($1) - Double(top)) })
    }
}
