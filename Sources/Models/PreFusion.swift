internal import Checkpoints
internal import Tensors

// Letters: B frames, S rows per frame, A rows of them that are returned, T rows of a text, H language width, h query
// heads, h_kv KV heads, d head size.

/// The pre-fusion layers: decoder layers over [patches | compressed | text] of each frame, from position 0.
///
/// The last layer computes only the rows that are returned; the patches contribute keys and values.
/// Source: docs/model.md, section 6; tensors `model.prefusion_layers.*`.
final class PreFusion {
    private let layers: [DecoderLayer]
    private let compute: Compute
    private let rope: RotaryEmbedding
    private let pairs: Int  // h_kv · d
    private let scratch = DecoderScratch()
    private let keys = Scratch()  // [B · S, h_kv · d]
    private let values = Scratch()  // [B · S, h_kv · d]
    private let wideKeys = Scratch()  // [B · (S + T), h_kv · d]
    private let wideValues = Scratch()  // [B · (S + T), h_kv · d]
    private let tailKeys = Scratch()  // [B · T, h_kv · d]
    private let tailValues = Scratch()  // [B · T, h_kv · d]
    private let tailQueries = Scratch()  // [B · T, h · d]
    private let activeRows = Scratch()  // [B · A, H]
    private let activeNormed = Scratch()  // [B · A, H]

    init(_ weights: WeightReader, config: LanguageConfig, layerCount: Int) throws {
        compute = weights.compute
        layers = try (0..<layerCount).map {
            try DecoderLayer(weights.under(TensorName.prefusionLayer($0)), config: config)
        }
        rope = RotaryEmbedding(config.rope, headSize: config.headSize)
        pairs = config.keyValueHeadCount * config.headSize
    }

    /// Runs the layers on `x` [B · S, H] f32 (overwritten) and returns the last `active` rows of each frame:
    /// [B · A, H].
    ///
    /// - Parameter keep: receives every layer's keys and values.
    func forward(
        _ x: MatrixView, frames: Int, active: Int, keep: PreFusionCache? = nil,
        trace: ((Int, MatrixView) -> Void)? = nil
    ) -> MatrixView {
        let length = x.rows / frames
        defer { keep?.added(frames) }
        for (index, layer) in layers.dropLast().enumerated() {
            let (k, v, normed) = project(x, layer, frames: frames)
            keep?.store(layer: index, frames: frames, keys: k, values: v)
            let queries = layer.queries(
                normed, sequences: frames, start: 0, rope: rope, compute: compute, scratch: scratch)
            layer.attend(
                x, queries: queries, sequences: frames, start: 0, keys: k, values: v, compute: compute, scratch: scratch
            )
            trace?(index, x)
        }
        guard let last = layers.last else { return gather(x, frames: frames, active: active, into: activeRows) }
        let (k, v, normed) = project(x, last, frames: frames)
        keep?.store(layer: layers.count - 1, frames: frames, keys: k, values: v)
        let rows = gather(x, frames: frames, active: active, into: activeRows)  // [B · A, H]
        let gathered = gather(normed, frames: frames, active: active, into: activeNormed)  // [B · A, H]
        let queries = last.queries(
            gathered, sequences: frames, start: length - active, rope: rope, compute: compute, scratch: scratch)
        last.attend(
            rows, queries: queries, sequences: frames, start: length - active, keys: k, values: v, compute: compute,
            scratch: scratch)
        trace?(layers.count - 1, rows)
        return rows
    }

    /// Runs several texts [T, H] after known frames; the texts do not attend to each other.
    ///
    /// - Parameter tails: of each text one copy per frame, [B · T, H] f32, computed in place.
    func follow(_ tails: [MatrixView], behind known: PreFusionCache, frames: [Int]) {
        let room = tails.map { $0.rows / frames.count }.max() ?? 0
        guard room > 0 else { return }
        for (index, layer) in layers.enumerated() {
            let k = spread(known.rows, room, into: wideKeys, frames) { known.keys(frame: $0, layer: index) }
            let v = spread(known.rows, room, into: wideValues, frames) { known.values(frame: $0, layer: index) }
            for tail in tails where tail.rows > 0 {
                // Before the first layer a text is the same after every frame, so its queries, keys and values are
                // computed once.
                let isOne = index == 0 && tail.rows > frames.count
                follow(
                    tail, layer, frames: frames.count, start: known.rows, keys: k, values: v,
                    sequences: isOne ? 1 : frames.count)
            }
        }
    }

    /// The keys and values [B · S, h_kv · d] of `x` and its normalized rows [B · S, H].
    private func project(
        _ x: MatrixView, _ layer: DecoderLayer, frames: Int
    ) -> (keys: MatrixView, values: MatrixView, normed: MatrixView) {
        let k = keys.block(compute.precision, rows: x.rows, columns: pairs)  // [B · S, h_kv·d]
        let v = values.block(compute.precision, rows: x.rows, columns: pairs)  // [B · S, h_kv·d]
        let normed = layer.project(
            x, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
        return (k, v, normed)
    }

    /// Each frame's S rows followed by `room` rows of zeros: [B · (S + room), h_kv · d].
    ///
    /// Masked rows are still read, so they must hold finite values.
    private func spread(
        _ length: Int, _ room: Int, into scratch: Scratch, _ frames: [Int], of: (Int) -> MatrixView
    ) -> MatrixView {
        let type = compute.precision
        let out = scratch.block(type, rows: frames.count * (length + room), columns: pairs)
        for (slot, frame) in frames.enumerated() {
            let first = slot * (length + room)
            out.row(first).copyMemory(from: of(frame).base, byteCount: length * pairs * type.size)
            out.row(first + length).initializeMemory(as: UInt8.self, repeating: 0, count: room * pairs * type.size)
        }
        return out
    }

    /// One layer of a text `tail` [B · T, H] after the first `start` rows of each frame.
    ///
    /// - Parameter sequences: the number of frames with rows of their own: all, or one for all of them.
    private func follow(
        _ tail: MatrixView, _ layer: DecoderLayer, frames: Int, start: Int, keys: MatrixView, values: MatrixView,
        sequences: Int
    ) {
        let count = tail.rows / frames
        let own = tail.rows(0..<sequences * count)  // [sequences · T, H]
        let k = tailKeys.block(compute.precision, rows: own.rows, columns: pairs)  // [sequences · T, h_kv·d]
        let v = tailValues.block(compute.precision, rows: own.rows, columns: pairs)  // [sequences · T, h_kv·d]
        let normed = layer.project(
            own, sequences: sequences, start: start, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
        let (length, bytes) = (keys.rows / frames, count * pairs * k.type.size)
        for frame in 0..<frames {
            let source = frame % sequences * count
            keys.row(frame * length + start).copyMemory(from: k.row(source), byteCount: bytes)
            values.row(frame * length + start).copyMemory(from: v.row(source), byteCount: bytes)
        }
        var q = layer.queries(
            normed, sequences: sequences, start: start, rope: rope, compute: compute, scratch: scratch)
        if sequences < frames {
            let all = tailQueries.block(q.type, rows: tail.rows, columns: q.columns)  // [B · T, h·d]
            for frame in 0..<frames {
                all.row(frame * count).copyMemory(from: q.base, byteCount: count * q.columns * q.type.size)
            }
            q = all
        }
        layer.attend(
            tail, queries: q, sequences: frames, start: start, keys: keys, values: values, compute: compute,
            scratch: scratch)
    }

    /// The last `active` rows of each frame: [B · A, columns].
    private func gather(_ x: MatrixView, frames: Int, active: Int, into scratch: Scratch) -> MatrixView {
        let length = x.rows / frames
        let out = scratch.block(x.type, rows: frames * active, columns: x.columns)
        for frame in 0..<frames {
            for row in 0..<active {
                out.row(frame * active + row).copyMemory(
                    from: x.row((frame + 1) * length - active + row), byteCount: x.columns * x.type.size)
            }
        }
        return out
    }
}
