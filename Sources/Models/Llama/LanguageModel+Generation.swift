internal import Checkpoints
internal import Tensors

// Letters: H language width, V vocabulary.

/// The reason why generation ended.
public enum StopReason: String, Sendable, Codable {
    /// The model generated a stop token.
    case stopToken = "stop"
    /// The maximum number of tokens was reached.
    case length
    /// The caller cancelled.
    case cancelled
}

extension LanguageModel {
    /// Generates the answer to `prompt`, token by token.
    ///
    /// - Parameters:
    ///   - limit: the number of prompt rows to use; only to reproduce the reference's truncation.
    ///   - shared: a cache that already holds the first rows of this prompt, which other prompts share. It must have
    ///     room for the other rows and the answer, and is truncated to the shared rows afterwards.
    ///   - recorder: records the attention of each row from which an ID of the answer was sampled, the stop ID excluded.
    ///   - progress: receives the prompt rows done, after each slice.
    ///   - onToken: receives each ID (the stop ID too) with its logits [V]; returning false cancels.
    /// - Throws: `ModelError` if prompt and answer do not fit the context, or a logit is not finite.
    public func generate(
        _ prompt: FusedPrompt, options: GenerationOptions, maxTokens: Int, stopIDs: Set<Int32>,
        truncatedTo limit: Int? = nil, shared: KVCache? = nil, recorder: AttentionRecorder? = nil,
        progress: (Int) -> Void = { _ in },
        onToken: (Int32, UnsafeBufferPointer<Float>) -> Bool
    ) throws -> (ids: [Int32], stop: StopReason) {
        let count = min(prompt.count, limit ?? prompt.count)
        let needed = count + maxTokens
        guard needed <= config.maxPositions else {
            throw ModelError.context(
                needed: needed, limit: config.maxPositions, frames: prompt.visionTokens, tokensPerFrame: 1,
                other: needed - prompt.visionTokens)
        }
        let cache = shared ?? makeCache(capacity: needed)
        let known = cache.count
        defer { if shared != nil { cache.truncate(to: known) } }
        precondition(known < count && needed <= cache.capacity, "\(known) rows known of \(count)")
        var hidden = append(count: count - known, to: cache, recorder: recorder, progress: { progress(known + $0) }) {
            prompt.write($0.lowerBound + known..<$0.upperBound + known, into: $1)
        }
        let logits = Buffer<Float>(count: config.vocabularySize)  // [V]
        let view = UnsafeBufferPointer(start: logits.pointer, count: config.vocabularySize)
        var sampler = Sampler(options)
        var ids: [Int32] = []
        while ids.count < maxTokens {
            self.logits(hidden, into: logits.pointer)
            let id = try sampler.next(view)
            ids.append(id)
            if !stopIDs.contains(id) { recorder?.keepRow() }
            if !onToken(id, view) { return (ids, .cancelled) }
            if stopIDs.contains(id) { return (ids, .stopToken) }
            if ids.count == maxTokens { break }
            hidden = append(count: 1, to: cache, recorder: recorder) { embed(id, into: $1.floats) }
        }
        return (ids, .length)
    }
}
