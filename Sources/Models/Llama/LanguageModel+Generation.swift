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
    ///   - constraint: limits which token comes next; it must follow the text through `onToken`.
    ///   - recorder: records the attention of each row from which an ID of the answer was sampled, the stop ID excluded.
    ///   - progress: receives the prompt rows done, after each slice.
    ///   - onToken: receives each ID (the stop ID too) with its logits [V]; returning false cancels.
    /// - Throws: `ModelError` if prompt and answer do not fit the context, or a logit is not finite.
    public func generate(
        _ prompt: FusedPrompt, options: GenerationOptions, maxTokens: Int, stopIDs: Set<Int32>,
        truncatedTo limit: Int? = nil, shared: KVCache? = nil, constraint: (any TokenConstraint)? = nil,
        recorder: AttentionRecorder? = nil, progress: (Int) -> Void = { _ in },
        onToken: (Int32, UnsafeBufferPointer<Float>) -> Bool
    ) throws -> (ids: [Int32], stop: StopReason) {
        let cache = shared ?? makeCache(capacity: min(prompt.count, limit ?? prompt.count) + maxTokens)
        return try withoutActuallyEscaping(onToken) { onToken in
            let sequence = try start(
                prompt, options: options, maxTokens: maxTokens, stopIDs: stopIDs, truncatedTo: limit, shared: cache,
                isAlone: true, constraint: constraint, recorder: recorder, progress: progress, onToken: onToken)
            while sequence.stop == nil { step([sequence]) }
            return try sequence.result()
        }
    }

    /// Starts a text: computes its prompt and chooses its first token. Then call `step` until its `stop` is set.
    ///
    /// The IDs are the same for every number of texts generated together.
    ///
    /// - Parameters:
    ///   - shared: as for `generate`; its rows must stay until the text has ended.
    ///   - isAlone: true if no other text is started with the same cache before this one has ended. It is then appended
    ///     to it, which needs no memory besides; otherwise the text has memory for rows of its own (`sequenceBytes`).
    ///   - constraint, recorder, progress, onToken: as for `generate`.
    /// - Throws: as `generate`.
    public func start(
        _ prompt: FusedPrompt, options: GenerationOptions, maxTokens: Int, stopIDs: Set<Int32>,
        truncatedTo limit: Int? = nil, shared: KVCache, isAlone: Bool, constraint: (any TokenConstraint)? = nil,
        recorder: AttentionRecorder? = nil, progress: (Int) -> Void = { _ in },
        onToken: @escaping (Int32, UnsafeBufferPointer<Float>) -> Bool
    ) throws -> DecodingSequence {
        let (count, known) = (min(prompt.count, limit ?? prompt.count), shared.count)
        let needed = count + maxTokens
        guard needed <= config.maxPositions else {
            throw ModelError.context(
                needed: needed, limit: config.maxPositions, frames: prompt.visionTokens, tokensPerFrame: 1,
                other: needed - prompt.visionTokens)
        }
        precondition(known < count && (isAlone ? needed : count) <= shared.capacity, "\(known) rows known of \(count)")
        let sequence = DecodingSequence(
            options: options, maxTokens: maxTokens, stopIDs: stopIDs, constraint: constraint, recorder: recorder,
            onToken: onToken)
        do {
            try prefill(sequence, prompt, rows: known..<count, into: shared, progress: progress)
        } catch {
            shared.truncate(to: known)
            throw error
        }
        if sequence.stop != nil {
            shared.truncate(to: known)
        } else if isAlone {
            sequence.cache = SequenceCache(shared)
            sequence.onEnd = { shared.truncate(to: known) }
        } else {
            sequence.cache = SequenceCache(of: shared, shared: known, capacity: needed)
            shared.truncate(to: known)
        }
        return sequence
    }

    /// Generates the next token of each of several texts with one pass over the weights, each as if it were alone.
    ///
    /// - Parameter sequences: none of them has ended; a text that cannot go on ends with an error in its `result`.
    public func step(_ sequences: [DecodingSequence]) {
        guard !sequences.isEmpty else { return }
        let logits = logits(
            after: sequences.map(\.lastID),
            caches: sequences.map { sequence in
                guard let cache = sequence.cache else { preconditionFailure("a sequence that has ended") }
                return cache
            }, recorders: sequences.map(\.recorder))
        for (row, sequence) in sequences.enumerated() {
            sequence.accept(UnsafeBufferPointer(start: logits.rows(row..<row + 1).floats, count: config.vocabularySize))
        }
    }

    /// Bytes that a text started with `start` needs beside its prompt's shared rows.
    ///
    /// - Parameters:
    ///   - sharedRows: rows in the shared cache.
    ///   - ownRows: the other rows of the prompt, and of the answer.
    public func sequenceBytes(sharedRows: Int, ownRows: Int) -> Int {
        2 * config.layerCount * keyBytes * (sharedRows % Compute.sharedKeysMultiple + ownRows)
    }

    /// Appends the given rows of `prompt` to `cache` and chooses the first token.
    private func prefill(
        _ sequence: DecodingSequence, _ prompt: FusedPrompt, rows: Range<Int>, into cache: KVCache,
        progress: (Int) -> Void
    ) throws {
        guard sequence.maxTokens > 0 else { return sequence.end(.length) }
        let hidden = append(
            count: rows.count, to: cache, recorder: sequence.recorder, progress: { progress(rows.lowerBound + $0) }
        ) {
            prompt.write($0.lowerBound + rows.lowerBound..<$0.upperBound + rows.lowerBound, into: $1)
        }
        let logits = Buffer<Float>(count: config.vocabularySize)  // [V]
        self.logits(hidden, into: logits.pointer)
        sequence.accept(UnsafeBufferPointer(start: logits.pointer, count: config.vocabularySize))
        try sequence.check()
    }
}

/// A text that is being generated, alone or together with others.
public final class DecodingSequence {
    /// The IDs generated so far, the stop ID included; it is left out if a constraint allows nothing else.
    public private(set) var ids: [Int32] = []
    /// Why the text has ended; nil while it is being generated.
    public private(set) var stop: StopReason?
    fileprivate let maxTokens: Int
    fileprivate let recorder: AttentionRecorder?
    /// Set once the prompt is computed; nil once the text has ended, which frees its memory.
    fileprivate var cache: SequenceCache?
    fileprivate var onEnd: (() -> Void)?
    private var sampler: Sampler
    private let stopIDs: Set<Int32>
    private let constraint: (any TokenConstraint)?
    private let onToken: (Int32, UnsafeBufferPointer<Float>) -> Bool
    private var failure: (any Error)?

    fileprivate init(
        options: GenerationOptions, maxTokens: Int, stopIDs: Set<Int32>, constraint: (any TokenConstraint)?,
        recorder: AttentionRecorder?, onToken: @escaping (Int32, UnsafeBufferPointer<Float>) -> Bool
    ) {
        sampler = Sampler(options)
        (self.maxTokens, self.stopIDs) = (maxTokens, stopIDs)
        (self.constraint, self.recorder, self.onToken) = (constraint, recorder, onToken)
    }

    fileprivate var lastID: Int32 { ids[ids.count - 1] }

    /// The text's IDs, once it has ended.
    ///
    /// - Throws: `ModelError` if a logit was not finite.
    public func result() throws -> (ids: [Int32], stop: StopReason) {
        try check()
        guard let stop else { preconditionFailure("a sequence that has not ended") }
        return (ids, stop)
    }

    fileprivate func check() throws { if let failure { throw failure } }

    /// Chooses the next ID from `logits` [V].
    fileprivate func accept(_ logits: UnsafeBufferPointer<Float>) {
        let id: Int32
        do {
            id = try sampler.next(logits, allowed: constraint?.allowed(tokensLeft: maxTokens - ids.count))
        } catch {
            failure = error
            return end(.cancelled)
        }
        ids.append(id)
        if !stopIDs.contains(id) { recorder?.keepRow() }
        if !onToken(id, logits) { return end(.cancelled) }
        if stopIDs.contains(id) || constraint?.isComplete == true { return end(.stopToken) }
        if ids.count == maxTokens { end(.length) }
    }

    fileprivate func end(_ reason: StopReason) {
        stop = reason
        cache = nil
        onEnd?()
        onEnd = nil
    }
}
