internal import Checkpoints
public import Tensors

// Letters: R rows of the language model's input, B frames, C2 vision tokens per frame, H language width, V vocabulary.

/// The input sequence of the language model: fused text, vision tokens, fused text.
///
/// R = head + B · C2 + tail rows at positions 0, 1, 2, … Source: docs/model.md, section 8.
public struct FusedPrompt {
    /// Rows before the vision tokens; all rows if the prompt has no image placeholder.
    public let head: Int
    /// Vision tokens, B · C2.
    public let visionTokens: Int
    /// Rows after the vision tokens.
    public let tail: Int
    private let text: TextFusion
    private let readTokens: (Range<Int>, MatrixView) -> Void

    /// - Parameters:
    ///   - text: the IDs, fused with the frames added to it; without frames, plain embeddings.
    ///   - visionTokens: B · C2; 0 without frames.
    ///   - readTokens: writes the given vision tokens into a matrix [rows, H] f32.
    public init(text: TextFusion, visionTokens: Int, readTokens: @escaping (Range<Int>, MatrixView) -> Void) {
        self.text = text
        self.readTokens = readTokens
        if let place = text.placeholderIndex {
            head = place
            tail = text.ids.count - place - 1
            self.visionTokens = visionTokens
        } else {
            // Without a placeholder no vision tokens are inserted, although the text is fused.
            head = text.ids.count
            tail = 0
            self.visionTokens = 0
        }
    }

    /// All rows, R.
    public var count: Int { head + visionTokens + tail }

    /// Writes the input rows `range` into `block` [range.count, H] f32.
    public func write(_ range: Range<Int>, into block: MatrixView) {
        let vision = head..<head + visionTokens
        for index in range where !vision.contains(index) {
            // After the vision tokens, the text continues after the placeholder.
            let source = index < head ? index : index - visionTokens + 1
            text.write(source, into: block.rows(index - range.lowerBound..<index - range.lowerBound + 1).floats)
        }
        let wanted = range.clamped(to: vision)
        if !wanted.isEmpty {
            let rows = wanted.lowerBound - range.lowerBound..<wanted.upperBound - range.lowerBound
            readTokens(wanted.lowerBound - head..<wanted.upperBound - head, block.rows(rows))
        }
    }
}

/// The reason why generation ended.
public enum StopReason: String, Sendable, Codable {
    case stopToken = "stop"
    case length
    case cancelled
}

extension LanguageModel {
    /// Generates the answer to `prompt`, token by token.
    ///
    /// - Parameters:
    ///   - limit: the number of prompt rows to use; only to reproduce the reference's truncation.
    ///   - shared: a cache that already holds the first rows of this prompt, which other prompts share. It must have
    ///     room for the rest of the prompt and the answer, and is truncated to those rows afterwards.
    ///   - watch: records the attention of each row from which an ID of the answer was sampled, the stop ID excluded.
    ///   - progress: receives the prompt rows done, after each slice.
    ///   - onToken: receives each ID (the stop ID too) with its logits [V]; returning false cancels.
    /// - Throws: `ModelError` if prompt and answer do not fit the context, or a logit is not finite.
    public func answer(
        _ prompt: FusedPrompt, sampling: GenerationOptions, maxTokens: Int, stopIDs: Set<Int32>,
        truncatedTo limit: Int? = nil,
        shared: KVCache? = nil, watch: AttentionRecorder? = nil, progress: (Int) -> Void = { _ in },
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
        var hidden = append(count: count - known, to: cache, watch: watch, progress: { progress(known + $0) }) {
            prompt.write($0.lowerBound + known..<$0.upperBound + known, into: $1)
        }
        let logits = Buffer<Float>(count: config.vocabularySize)  // [V]
        let view = UnsafeBufferPointer(start: logits.pointer, count: config.vocabularySize)
        var sampler = Sampler(sampling)
        var ids: [Int32] = []
        while ids.count < maxTokens {
            self.logits(hidden, into: logits.pointer)
            let id = try sampler.next(view)
            ids.append(id)
            if !stopIDs.contains(id) { watch?.keepRow() }
            if !onToken(id, view) { return (ids, .cancelled) }
            if stopIDs.contains(id) { return (ids, .stopToken) }
            if ids.count == maxTokens { break }
            hidden = append(count: 1, to: cache, watch: watch) { embed(id, into: $1.floats) }
        }
        return (ids, .length)
    }
}
