public import Checkpoints
public import Tensors

/// A Llama decoder with its embeddings and its output head.
///
/// Letters: T rows, H width, V vocabulary. Source: docs/model.md, section 7; checkpoints Llama-3.1-8B, Vicuna-1.5-7B.
public final class LanguageModel {
    /// The decoder's shape.
    public let config: LanguageConfig
    /// Element type of cached keys and values: f32, bf16 or i8.
    public let keyValueType: DType
    let compute: Compute
    private let embeddings: Matrix  // model.embed_tokens [V, H]
    private let rope: RotaryEmbedding
    private let layers: [DecoderLayer]  // model.layers
    private let norm: RMSNorm  // model.norm [H]
    let head: Matrix  // lm_head [V, H]; the embeddings if they are tied
    private let scratch = LayerScratch()
    private let residual = Scratch()  // [T, H]
    private let normedRow = Scratch()  // [1, H]
    private let normedRows = Scratch()  // [B, H], B sequences
    private let logitRows = Scratch()  // [B, V], B sequences

    /// Rows computed at a time: enough for efficient products, few enough to bound memory.
    public static let sliceLength = 512

    /// Loads the model.
    ///
    /// - Parameters:
    ///   - weights: a reader at the checkpoint's root (`model.`, `lm_head.`).
    ///   - keyValues: element type of cached keys and values, f32, bf16 or i8; nil: the compute precision.
    /// - Throws: `ModelError` for a missing tensor or a wrong shape.
    public init(_ weights: WeightReader, config: LanguageConfig, keyValues: DType? = nil) throws {
        let weights = weights.groupingInputs()
        self.config = config
        compute = weights.compute
        keyValueType = keyValues ?? weights.compute.precision
        embeddings = try weights.matrix(TensorName.tokenEmbeddings, [config.vocabularySize, config.hiddenSize])
        head =
            config.tiedEmbeddings
            ? embeddings : try weights.matrix(TensorName.outputEmbeddings, [config.vocabularySize, config.hiddenSize])
        let rope = RotaryEmbedding(config.rope, headSize: config.headSize)
        self.rope = rope
        layers = try (0..<config.layerCount).map {
            try DecoderLayer(weights.under(TensorName.languageLayer($0)), config, rope: rope)
        }
        norm = try RMSNorm(weights.under("model.norm."), config.hiddenSize, epsilon: config.rmsNormEpsilon)
    }

    /// An empty cache for `capacity` positions of this model.
    public func makeCache(capacity: Int) -> KVCache {
        KVCache(layerCount: config.layerCount, shape: shape, capacity: capacity, type: keyValueType)
    }

    /// A cache over `count` positions computed earlier; nil if the memory does not fit this model.
    ///
    /// - Parameters:
    ///   - parts: in the order of `KVCache.parts`, each with free room after the positions.
    ///   - owner: keeps the memory alive.
    public func cache(
        of parts: [UnsafeMutableRawBufferPointer], count: Int, owner: AnyObject
    ) -> KVCache? {
        KVCache(
            layerCount: config.layerCount, shape: shape, count: count, type: keyValueType, parts: parts, owner: owner)
    }

    private var shape: AttentionShape {
        AttentionShape(heads: config.headCount, keyValueHeads: config.keyValueHeadCount, headSize: config.headSize)
    }

    /// Bytes of the layers' weights, and of the output head's, as they are read for one token.
    package var weightBytes: (layers: Int, head: Int) { (layers.reduce(0) { $0 + $1.weightBytes }, head.byteCount) }

    /// True if a token takes milliseconds; less is not worth keeping threads awake for.
    private var isLarge: Bool { weightBytes.layers >= 64 << 20 }

    /// Bytes of one position's keys (or values) in one layer.
    public var keyBytes: Int { Compute.keyValueRowBytes(shape, type: keyValueType) }

    /// Copies the embedding of `id` into `row` [H] f32; traps if the ID is outside the vocabulary.
    public func embed(_ id: Int32, into row: UnsafeMutablePointer<Float>) {
        embeddings.copyRow(Int(id), into: row, kernels: compute.kernels)
    }

    /// True if `id` is in 0..<V.
    public func isInVocabulary(_ id: Int32) -> Bool { id >= 0 && Int(id) < config.vocabularySize }

    /// Runs `count` input rows after those in `cache`, in slices, and returns the last row before the final norm.
    ///
    /// - Parameters:
    ///   - rows: writes the input embeddings of the given rows into a matrix [rows, H] f32.
    ///   - progress: called after each slice with the number of rows done; an error it throws ends the work.
    ///   - trace: receives `hidden_0` … of each slice, before the final norm.
    ///   - recorder: records the attention weights of the last row.
    /// - Returns: [1, H] f32, valid until the next call.
    public func append(
        count: Int, to cache: KVCache, trace: Trace? = nil, recorder: AttentionObserver? = nil,
        progress: (Int) throws -> Void, rows: (Range<Int>, MatrixView) -> Void
    ) rethrows -> MatrixView {
        var done = 0
        var last = residual.matrix(.f32, rows: 1, columns: config.hiddenSize)
        while done < count {
            let range = done..<min(count, done + Self.sliceLength)
            let isLast = range.upperBound == count
            let x = residual.matrix(.f32, rows: range.count, columns: config.hiddenSize)  // [T, H]
            rows(range, x)
            trace?("hidden_0", x)
            if isLast { recorder?.beginRow() }
            let known = cache.count
            let total = known + range.count
            for (index, layer) in layers.enumerated() {
                let (keys, values) = (cache.keys(layer: index, rows: total), cache.values(layer: index, rows: total))
                let normed = layer.project(
                    x, keys: keys.rows(known..<total), values: values.rows(known..<total), context.causal(from: known))
                // In the last layer only the very last row is needed; the other rows contribute keys and values.
                let allRows = index < layers.count - 1 || trace != nil
                let needed = (allRows ? 0 : isLast ? range.count - 1 : range.count)..<range.count
                if needed.isEmpty { continue }
                var computed = context.causal(from: known + needed.lowerBound)
                if isLast { computed.weightsReceiver = recorder?.receiver(layer: index) }
                let queries = layer.queries(normed.rows(needed), computed)
                layer(x.rows(needed), queries: queries, keys: keys, values: values, computed)
                trace?("hidden_\(index + 1)", x)
            }
            cache.count = total
            done = range.upperBound
            last = x.rows(range.count - 1..<range.count)
            try progress(done)
        }
        return last
    }

    /// Runs `count` input rows after those in `cache`, without progress.
    ///
    /// - Returns: [1, H] f32, the last row before the final norm; valid until the next call.
    public func append(
        count: Int, to cache: KVCache, trace: Trace? = nil, recorder: AttentionObserver? = nil,
        rows: (Range<Int>, MatrixView) -> Void
    ) -> MatrixView {
        append(count: count, to: cache, trace: trace, recorder: recorder, progress: { _ in }, rows: rows)
    }

    private var context: LayerContext {
        LayerContext(compute: compute, scratch: scratch, sections: .language)
    }

    /// Applies the final norm and the output head to `hidden` [T, H]: logits [T, V] into `out`.
    public func logits(_ hidden: MatrixView, into out: UnsafeMutablePointer<Float>) {
        compute.timed(.head) {
            for row in 0..<hidden.rows {
                let normed = normedRow.matrix(.f32, rows: 1, columns: config.hiddenSize)  // [1, H]
                norm(hidden.rows(row..<row + 1), into: normed)
                compute.linear(
                    normed, head,
                    into: MatrixView(out + row * config.vocabularySize, rows: 1, columns: config.vocabularySize))
            }
        }
    }

    /// Runs one row of each of B sequences, each as if it were alone, and returns their logits.
    ///
    /// - Parameters:
    ///   - ids: [B], the IDs whose embeddings are the rows.
    ///   - caches: [B]; every cache gets one position.
    ///   - recorders: [B]; each records the attention weights of its row.
    /// - Returns: [B, V] f32, valid until the next call.
    package func logits(
        after ids: [Int32], caches: [SequenceCache], recorders: [AttentionRecorder?]
    ) -> MatrixView {
        let x = residual.matrix(.f32, rows: ids.count, columns: config.hiddenSize)  // [B, H]
        for (row, id) in ids.enumerated() { embed(id, into: x.rows(row..<row + 1).floats) }
        for recorder in recorders { recorder?.beginRow() }
        let rotation = compute.timed(context.sections.attention) { rope.rotation(at: caches.map(\.count)) }
        let rows = SequenceRows(caches: caches, rotation: rotation, recorders: recorders)
        let normed = normedRows.matrix(.f32, rows: ids.count, columns: config.hiddenSize)  // [B, H]
        let logits = logitRows.matrix(.f32, rows: ids.count, columns: config.vocabularySize)  // [B, V]
        let computeAll = { [self] in
            for (index, layer) in layers.enumerated() { layer(x, rows, layer: index, context) }
            compute.timed(.head) {
                norm(x, into: normed)
                compute.linearRows(normed, head, into: logits)
            }
        }
        if isLarge { compute.threadPool.keepingAwake(computeAll) } else { computeAll() }
        for cache in caches { cache.advance() }
        return logits
    }

    /// Applies only the final norm to `hidden` [T, H], to inspect hidden states.
    public func finalNorm(_ hidden: MatrixView, into out: MatrixView) {
        norm(hidden, into: out)
    }
}
