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
    func forward(_ x: Block, frames: Int, active: Int, trace: ((Int, Block) -> Void)? = nil) -> Block {
        let length = x.rows / frames
        for (index, layer) in layers.dropLast().enumerated() {
            let k = keys.block(compute.precision, rows: x.rows, columns: pairs)
            let v = values.block(compute.precision, rows: x.rows, columns: pairs)
            let normed = layer.project(
                x, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
            layer.attend(
                x, normed: normed, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute,
                scratch: scratch)
            trace?(index, x)
        }
        guard let last = layers.last else { return gather(x, frames: frames, active: active, into: activeRows) }
        let k = keys.block(compute.precision, rows: x.rows, columns: pairs)
        let v = values.block(compute.precision, rows: x.rows, columns: pairs)
        let normed = last.project(
            x, sequences: frames, start: 0, keys: k, values: v, rope: rope, compute: compute, scratch: scratch)
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
        trace?(layers.count - 1, rows)
        return rows
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
