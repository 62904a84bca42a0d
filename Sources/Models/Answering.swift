internal import Checkpoints
public import Tensors

/// The sequence the language model answers: fused text before, the vision tokens, fused text after.
///
/// Positions are 0, 1, 2, … over the whole of it. Source: docs/model.md, section 8.
public struct FusedPrompt {
    /// Rows before the vision tokens; all rows when the prompt has no place for them.
    public let head: Int
    public let visionTokens: Int
    public let tail: Int
    private let text: TextFusion
    private let readTokens: (Range<Int>, MatrixView) -> Void

    /// - Parameters:
    ///   - text: the ids, fused with the frames added to it (none: plain embeddings).
    ///   - visionTokens: how many there are (frames · C2), 0 when there are no frames.
    ///   - readTokens: writes the given vision tokens into a block [rows, H] f32.
    public init(text: TextFusion, visionTokens: Int, readTokens: @escaping (Range<Int>, MatrixView) -> Void) {
        self.text = text
        self.readTokens = readTokens
        if let place = text.placeholderIndex {
            head = place
            tail = text.ids.count - place - 1
            self.visionTokens = visionTokens
        } else {
            // A prompt without a place gets no vision tokens, though its text is fused.
            head = text.ids.count
            tail = 0
            self.visionTokens = 0
        }
    }

    public var count: Int { head + visionTokens + tail }

    /// Writes the input rows `range` into `block` [rows, H] f32.
    public func write(_ range: Range<Int>, into block: MatrixView) {
        let vision = head..<head + visionTokens
        for index in range where !vision.contains(index) {
            // Past the vision tokens, the text goes on after the placeholder.
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

/// Why an answer ended.
public enum StopReason: String, Sendable, Codable {
    case stopToken = "stop"
    case length
    case cancelled
}

extension LanguageModel {
    /// Answers `prompt` token by token.
    ///
    /// - Parameters:
    ///   - limit: rows of the prompt actually used; only for reproducing the reference's truncation.
    ///   - shared: the cache of a run over the first rows of this prompt, which other prompts have too; it is put back to
    ///     them afterwards, and must have room for the rest of the prompt and the answer.
    ///   - watch: keeps where each row looked that an id of the answer was read from; the stop id is none.
    ///   - progress: prompt rows done, after each slice.
    ///   - onToken: sees each id (the stop id too) with its logits; returning false cancels.
    /// - Throws: `ModelError` when prompt and answer do not fit the context, or a logit is not a number.
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
        let logits = Buffer<Float>(count: config.vocabularySize)
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
