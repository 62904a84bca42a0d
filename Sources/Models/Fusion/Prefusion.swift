internal import Tensors

/// The pre-fusion layers: ordinary decoder layers over [patches | compressed | text] of each frame, from position 0.
///
/// The last layer computes only what is read off afterwards: its patches need keys and values, nothing else.
/// Source: spec section 6; tensors `model.prefusion_layers.*`.
final class Prefusion {
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
    /// - Parameter tails: texts that go on behind `x`, each without seeing the others: [frames · T, H], fused in place.
    func forward(
        _ x: Block, frames: Int, active: Int, tails: [Block] = [], trace: ((Int, Block) -> Void)? = nil
    ) -> Block {
        let length = x.rows / frames
        for (index, layer) in layers.dropLast().enumerated() {
            let (k, v, normed) = project(x, layer, frames: frames, tails: tails)
            layer.attend(
                x, normed: normed, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute,
                scratch: scratch)
            for tail in tails { follow(tail, layer, frames: frames, start: length, keys: k, values: v) }
            trace?(index, x)
        }
        guard let last = layers.last else { return gather(x, frames: frames, active: active, into: activeRows) }
        let (k, v, normed) = project(x, last, frames: frames, tails: tails)
        let rows = gather(x, frames: frames, active: active, into: activeRows)
        let gathered = gather(normed, frames: frames, active: active, into: activeNormed)
        // A single row is computed in f32: widen what was normed for the products of many rows.
        var input = gathered
        if rows.rows == 1, gathered.type != .f32 {
            input = scratch.key.block(.f32, rows: 1, columns: gathered.columns)
            compute.convert(gathered, into: input)
        }
        last.attend(
            rows, normed: input, sequences: frames, start: length - active, keys: k, values: v, rope: rope,
            compute: compute, scratch: scratch)
        for tail in tails { follow(tail, last, frames: frames, start: length, keys: k, values: v) }
        trace?(layers.count - 1, rows)
        return rows
    }

    /// Keys and values [frames · (S + the longest tail), ·] of `x`, and its normed rows.
    private func project(
        _ x: Block, _ layer: DecoderLayer, frames: Int, tails: [Block]
    ) -> (keys: Block, values: Block, normed: Block) {
        let k = keys.block(compute.precision, rows: x.rows, columns: pairs)
        let v = values.block(compute.precision, rows: x.rows, columns: pairs)
        let normed = layer.project(
            x, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
        let room = tails.map { $0.rows / frames }.max() ?? 0
        guard room > 0 else { return (k, v, normed) }
        return (
            spread(k, frames: frames, room: room, into: wideKeys),
            spread(v, frames: frames, room: room, into: wideValues), normed
        )
    }

    /// Each frame's rows with `room` rows of zeros behind them: what nobody may see yet must still be numbers.
    private func spread(_ x: Block, frames: Int, room: Int, into scratch: Scratch) -> Block {
        let length = x.rows / frames
        let out = scratch.block(x.type, rows: frames * (length + room), columns: x.columns)
        for frame in 0..<frames {
            let first = frame * (length + room)
            out.row(first).copyMemory(from: x.row(frame * length), byteCount: length * x.columns * x.type.size)
            out.row(first + length).initializeMemory(
                as: UInt8.self, repeating: 0, count: room * x.columns * x.type.size)
        }
        return out
    }

    /// One layer of a tail [frames · T, H] whose rows come behind the first `start` rows of each frame.
    private func follow(_ tail: Block, _ layer: DecoderLayer, frames: Int, start: Int, keys: Block, values: Block) {
        let count = tail.rows / frames
        let k = tailKeys.block(compute.precision, rows: tail.rows, columns: pairs)
        let v = tailValues.block(compute.precision, rows: tail.rows, columns: pairs)
        let normed = layer.project(
            tail, sequences: frames, start: start, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
        let (length, bytes) = (keys.rows / frames, count * pairs * k.type.size)
        for frame in 0..<frames {
            keys.row(frame * length + start).copyMemory(from: k.row(frame * count), byteCount: bytes)
            values.row(frame * length + start).copyMemory(from: v.row(frame * count), byteCount: bytes)
        }
        layer.attend(
            tail, normed: normed, sequences: frames, start: start, keys: keys, values: values, rope: rope,
            compute: compute, scratch: scratch)
    }

    private func gather(_ x: Block, frames: Int, active: Int, into scratch: Scratch) -> Block {
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
