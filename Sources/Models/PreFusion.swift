internal import Checkpoints
internal import Tensors

// Letters: B frames, S rows per frame, A rows of them that are returned, T rows of a text, H language width, h query
// heads, h_kv KV heads, d head size.

/// The pre-fusion layers: decoder layers over [patches | compressed | text] of each frame, from position 0.
///
/// The last layer computes only the rows that are returned; the patches contribute keys and values.
/// Source: docs/model.md, section 6; tensors `model.prefusion_layers.*`.
final class PreFusion {
    private let layers: [DecoderLayer]  // model.prefusion_layers
    private let compute: Compute
    private let keyWidth: Int  // h_kv · d
    private let scratch = LayerScratch()
    private let keys = Scratch()  // [B · S, h_kv · d]
    private let values = Scratch()  // [B · S, h_kv · d]
    private let extendedKeys = Scratch()  // [B · (S + T), h_kv · d]
    private let extendedValues = Scratch()  // [B · (S + T), h_kv · d]
    private let suffixKeys = Scratch()  // [B · T, h_kv · d]
    private let suffixValues = Scratch()  // [B · T, h_kv · d]
    private let suffixQueries = Scratch()  // [B · T, h · d]
    private let returnedRows = Scratch()  // [B · A, H]
    private let returnedNormed = Scratch()  // [B · A, H]

    init(_ weights: WeightReader, config: LanguageConfig, layerCount: Int) throws {
        compute = weights.compute
        let rope = RotaryEmbedding(config.rope, headSize: config.headSize)
        layers = try (0..<layerCount).map {
            try DecoderLayer(weights.under(TensorName.prefusionLayer($0)), config, rope: rope)
        }
        keyWidth = config.keyValueHeadCount * config.headSize
    }

    private func context(frames: Int, from start: Int) -> LayerContext {
        LayerContext(compute: compute, scratch: scratch, sections: .preFusion).causal(sequences: frames, from: start)
    }

    /// Runs the layers on `x` [B · S, H] f32 (overwritten) and returns the last A rows of each frame: [B · A, H].
    ///
    /// - Parameters:
    ///   - count: the rows to return, A.
    ///   - cache: receives every layer's keys and values.
    ///   - trace: receives each layer's index and rows.
    func forward(
        _ x: MatrixView, frames: Int, returning count: Int, cache: PreFusionCache? = nil,
        trace: ((Int, MatrixView) -> Void)? = nil
    ) -> MatrixView {
        let all = context(frames: frames, from: 0)
        let k = keys.matrix(compute.precision, rows: x.rows, columns: keyWidth)  // [B · S, h_kv·d]
        let v = values.matrix(compute.precision, rows: x.rows, columns: keyWidth)  // [B · S, h_kv·d]
        defer { cache?.added(frames) }
        for (index, layer) in layers.dropLast().enumerated() {
            let normed = layer.project(x, keys: k, values: v, all)
            cache?.store(layer: index, frames: frames, keys: k, values: v)
            layer(x, queries: layer.queries(normed, all), keys: k, values: v, all)
            trace?(index, x)
        }
        guard let last = layers.last else { return lastRows(of: x, count, frames, into: returnedRows) }
        let normed = last.project(x, keys: k, values: v, all)
        cache?.store(layer: layers.count - 1, frames: frames, keys: k, values: v)
        let rows = lastRows(of: x, count, frames, into: returnedRows)  // [B · A, H]
        let returned = context(frames: frames, from: x.rows / frames - count)
        let queries = last.queries(lastRows(of: normed, count, frames, into: returnedNormed), returned)
        last(rows, queries: queries, keys: k, values: v, returned)
        trace?(layers.count - 1, rows)
        return rows
    }

    /// Runs several texts [T, H] after cached frames; the texts do not attend to each other.
    ///
    /// - Parameter suffixes: of each text one copy per frame, [B · T, H] f32, computed in place.
    func extend(_ suffixes: [MatrixView], after cache: PreFusionCache, frames: [Int]) {
        let room = suffixes.map { $0.rows / frames.count }.max() ?? 0
        guard room > 0 else { return }
        for (index, layer) in layers.enumerated() {
            let k = copy(cache.rows, room, into: extendedKeys, frames) { cache.keys(frame: $0, layer: index) }
            let v = copy(cache.rows, room, into: extendedValues, frames) { cache.values(frame: $0, layer: index) }
            for suffix in suffixes where suffix.rows > 0 {
                // Before the first layer a text is the same after every frame, so its queries, keys and values are
                // computed once.
                let isOne = index == 0 && suffix.rows > frames.count
                extend(
                    suffix, layer, frames: frames.count, start: cache.rows, keys: k, values: v,
                    sequences: isOne ? 1 : frames.count)
            }
        }
    }

    /// Each frame's S rows followed by `room` rows of zeros: [B · (S + room), h_kv · d].
    ///
    /// Masked rows are still read, so they must hold finite values.
    private func copy(
        _ length: Int, _ room: Int, into scratch: Scratch, _ frames: [Int], of: (Int) -> MatrixView
    ) -> MatrixView {
        let type = compute.precision
        let out = scratch.matrix(type, rows: frames.count * (length + room), columns: keyWidth)
        for (slot, frame) in frames.enumerated() {
            let first = slot * (length + room)
            out.row(first).copyMemory(from: of(frame).base, byteCount: length * keyWidth * type.size)
            out.row(first + length).initializeMemory(as: UInt8.self, repeating: 0, count: room * keyWidth * type.size)
        }
        return out
    }

    /// Runs one layer on a text `suffix` [B · T, H] after the first `start` rows of each frame.
    ///
    /// - Parameters:
    ///   - keys, values: [B · (S + room), h_kv · d]; receive those of the text after row `start` of each frame.
    ///   - sequences: the number of frames with rows of their own: all, or one for all of them.
    private func extend(
        _ suffix: MatrixView, _ layer: DecoderLayer, frames: Int, start: Int, keys: MatrixView, values: MatrixView,
        sequences: Int
    ) {
        let count = suffix.rows / frames
        let rows = suffix.rows(0..<sequences * count)  // [sequences · T, H]
        let k = suffixKeys.matrix(compute.precision, rows: rows.rows, columns: keyWidth)  // [sequences · T, h_kv·d]
        let v = suffixValues.matrix(compute.precision, rows: rows.rows, columns: keyWidth)  // [sequences · T, h_kv·d]
        let distinct = context(frames: sequences, from: start)
        let normed = layer.project(rows, keys: k, values: v, distinct)
        let (length, bytes) = (keys.rows / frames, count * keyWidth * k.type.size)
        for frame in 0..<frames {
            let source = frame % sequences * count
            keys.row(frame * length + start).copyMemory(from: k.row(source), byteCount: bytes)
            values.row(frame * length + start).copyMemory(from: v.row(source), byteCount: bytes)
        }
        var q = layer.queries(normed, distinct)
        if sequences < frames {
            let all = suffixQueries.matrix(q.type, rows: suffix.rows, columns: q.columns)  // [B · T, h·d]
            for frame in 0..<frames {
                all.row(frame * count).copyMemory(from: q.base, byteCount: count * q.columns * q.type.size)
            }
            q = all
        }
        layer(suffix, queries: q, keys: keys, values: values, context(frames: frames, from: start))
    }

    /// The last `count` rows of each frame: [B · count, columns].
    private func lastRows(of x: MatrixView, _ count: Int, _ frames: Int, into scratch: Scratch) -> MatrixView {
        let length = x.rows / frames
        let out = scratch.matrix(x.type, rows: frames * count, columns: x.columns)
        for frame in 0..<frames {
            for row in 0..<count {
                out.row(frame * count + row).copyMemory(
                    from: x.row((frame + 1) * length - count + row), byteCount: x.columns * x.type.size)
            }
        }
        return out
    }
}
