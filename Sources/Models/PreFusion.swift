internal import Checkpoints
internal import Tensors

/// The pre-fusion layers: ordinary decoder layers over [patches | compressed | text] of each frame, from position 0.
///
/// The last layer computes only what is read off afterwards: its patches need keys and values, nothing else.
/// Source: docs/model.md, section 6; tensors `model.prefusion_layers.*`.
final class PreFusion {
    private let layers: [DecoderLayer]
    private let compute: Compute
    private let rope: RotaryEmbedding
    private let pairs: Int
    private let scratch = DecoderScratch()
    private let keys = Scratch()
    private let values = Scratch()
    private let wideKeys = Scratch()
    private let wideValues = Scratch()
    private let tailKeys = Scratch()
    private let tailValues = Scratch()
    private let tailQueries = Scratch()
    private let activeRows = Scratch()
    private let activeNormed = Scratch()

    init(_ weights: WeightReader, config: LanguageConfig, layerCount: Int) throws {
        compute = weights.compute
        layers = try (0..<layerCount).map {
            try DecoderLayer(weights.under("model.prefusion_layers.\($0)."), config: config)
        }
        rope = RotaryEmbedding(config.rope, headSize: config.headSize)
        pairs = config.keyValueHeadCount * config.headSize
    }

    /// Runs on `x` [frames · S, H] (overwritten) and returns the last `active` rows of each frame: [frames · A, H].
    ///
    /// - Parameter keep: gets every layer's keys and values.
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
        let rows = gather(x, frames: frames, active: active, into: activeRows)
        let gathered = gather(normed, frames: frames, active: active, into: activeNormed)
        let queries = last.queries(
            gathered, sequences: frames, start: length - active, rope: rope, compute: compute, scratch: scratch)
        last.attend(
            rows, queries: queries, sequences: frames, start: length - active, keys: k, values: v, compute: compute,
            scratch: scratch)
        trace?(layers.count - 1, rows)
        return rows
    }

    /// Runs texts [T, H] behind known frames, each without seeing the others.
    ///
    /// - Parameter tails: of each text one copy per frame, [frames · T, H], computed in place.
    func follow(_ tails: [MatrixView], behind known: PreFusionCache, frames: [Int]) {
        let room = tails.map { $0.rows / frames.count }.max() ?? 0
        guard room > 0 else { return }
        for (index, layer) in layers.enumerated() {
            let k = spread(known.rows, room, into: wideKeys, frames) { known.keys(frame: $0, layer: index) }
            let v = spread(known.rows, room, into: wideValues, frames) { known.values(frame: $0, layer: index) }
            for tail in tails where tail.rows > 0 {
                // Before the first layer a text is the same behind every frame: what it asks and shows is computed once.
                let isOne = index == 0 && tail.rows > frames.count
                follow(
                    tail, layer, frames: frames.count, start: known.rows, keys: k, values: v,
                    sequences: isOne ? 1 : frames.count)
            }
        }
    }

    /// Keys and values of `x`, and its normed rows.
    private func project(
        _ x: MatrixView, _ layer: DecoderLayer, frames: Int
    ) -> (keys: MatrixView, values: MatrixView, normed: MatrixView) {
        let k = keys.block(compute.precision, rows: x.rows, columns: pairs)
        let v = values.block(compute.precision, rows: x.rows, columns: pairs)
        let normed = layer.project(
            x, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
        return (k, v, normed)
    }

    /// Each frame's rows with `room` rows of zeros behind them: what nobody may see yet must still be numbers.
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

    /// One layer of a tail [frames · T, H] whose rows come behind the first `start` rows of each frame.
    ///
    /// - Parameter sequences: how many of the frames have rows of their own: all, or one for all of them.
    private func follow(
        _ tail: MatrixView, _ layer: DecoderLayer, frames: Int, start: Int, keys: MatrixView, values: MatrixView,
        sequences: Int
    ) {
        let count = tail.rows / frames
        let own = tail.rows(0..<sequences * count)
        let k = tailKeys.block(compute.precision, rows: own.rows, columns: pairs)
        let v = tailValues.block(compute.precision, rows: own.rows, columns: pairs)
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
            let all = tailQueries.block(q.type, rows: tail.rows, columns: q.columns)
            for frame in 0..<frames {
                all.row(frame * count).copyMemory(from: q.base, byteCount: count * q.columns * q.type.size)
            }
            q = all
        }
        layer.attend(
            tail, queries: q, sequences: frames, start: start, keys: keys, values: values, compute: compute,
            scratch: scratch)
    }

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
