internal import Checkpoints
internal import Glibc
internal import Tensors

/// LLaVA-Mini's query-based compressor: one cross-attention turns the patches of a frame into C² vision tokens.
///
/// Letters: C2 = C·C queries, N keys, E width (equal to D), h heads. Always computed in f32: it is 0.2 % of a frame's
/// work. Source: docs/model.md, section 3; tensors `model.compressor.*`.
final class Compressor {
    private let compute: Compute
    private let size: Int  // C
    private let width: Int  // E
    private let shape: AttentionShape
    private let keyNorm: LayerNorm  // ln_kv [E]
    private let positions: [Float]  // pos_embed [C2, E]
    private let projectedQuery: Buffer<Float>  // [C2, E], projected once because queries depend on weights only
    private let keyWeight: Matrix  // rows E..<2E of attn.in_proj_weight [E, E]
    private let valueWeight: Matrix  // rows 2E..<3E of attn.in_proj_weight [E, E]
    private let keyBias: [Float]  // of attn.in_proj_bias [E]
    private let valueBias: [Float]  // of attn.in_proj_bias [E]
    private let output: Linear  // attn.out_proj [E, E]
    private var upsampled: (side: Int, values: [Float]) = (0, [])  // positions interpolated to side², [side · side, E]
    private let normedKeys = Scratch()  // [N, E]
    private let positionedKeys = Scratch()  // [N, E]
    private let keys = Scratch()  // [N, E]
    private let values = Scratch()  // [N, E]
    private let mixed = Scratch()  // [C2, E]
    private let result = Scratch()  // [C2, E]
    private let averages = Scratch()  // [C2, N]

    init(_ weights: WeightReader, config: FusionConfig) throws {
        compute = weights.compute
        size = config.compressorSize
        width = config.compressorWidth
        let (count, width) = (config.tokensPerFrame, config.compressorWidth)
        shape = AttentionShape(
            heads: config.compressorHeadCount, keyValueHeads: config.compressorHeadCount,
            headSize: width / config.compressorHeadCount)
        // The reference uses torch's default epsilon for LayerNorm.
        keyNorm = try LayerNorm(weights.under("ln_kv."), width, epsilon: 1e-5)
        let queryNorm = try LayerNorm(weights.under("ln_q."), width, epsilon: 1e-5)
        positions = try weights.vector("pos_embed", [count, width])
        let packed = try weights.matrix("attn.in_proj_weight", [3 * width, width], as: .f32)  // [3E, E]: W_q, W_k, W_v
        let packedBias = try weights.vector("attn.in_proj_bias", [3 * width])  // [3E]
        keyWeight = packed.slice(rows: width..<2 * width)
        valueWeight = packed.slice(rows: 2 * width..<3 * width)
        keyBias = Array(packedBias[width..<2 * width])
        valueBias = Array(packedBias[(2 * width)...])
        output = try Linear(weights.under("attn.out_proj."), width, width, as: .f32)

        var query = try weights.vector("query", [count, width])  // [C2, E]
        projectedQuery = Buffer(count: count * width)
        let (compute, positions) = (compute, positions)
        let projected = MatrixView(projectedQuery.pointer, rows: count, columns: width)
        query.withUnsafeMutableBufferPointer { query in
            guard let query = query.baseAddress else { return }
            let rows = MatrixView(query, rows: count, columns: width)
            queryNorm(rows, into: rows)
            compute.add(positions, to: query, count: count * width)
            compute.linear(
                rows, packed.slice(rows: 0..<width), bias: Array(packedBias[..<width]), into: projected)
        }
    }

    /// Compresses one frame's keys [N, E] f32: its patches, or at high resolution the crops' raster.
    ///
    /// - Returns: [C2, E] f32, valid until the next call.
    func callAsFunction(_ patches: MatrixView, trace: Trace? = nil) -> MatrixView {
        let (count, keyCount) = (size * size, patches.rows)
        let normed = normedKeys.matrix(.f32, rows: keyCount, columns: width)  // [N, E]
        keyNorm(patches, into: normed)
        let keyInput = addPositions(normed)
        let k = keys.matrix(.f32, rows: keyCount, columns: width)  // [N, E]
        let v = values.matrix(.f32, rows: keyCount, columns: width)  // [N, E]
        compute.linear(keyInput, keyWeight, bias: keyBias, into: k)
        compute.linear(normed, valueWeight, bias: valueBias, into: v)
        let attended = mixed.matrix(.f32, rows: count, columns: width)  // [C2, E]
        var weights = trace == nil ? [] : [Float](repeating: 0, count: shape.heads * count * keyCount)  // [h, C2, N]
        let query = MatrixView(projectedQuery.pointer, rows: count, columns: width)
        if let trace {
            weights.withUnsafeMutableBufferPointer {
                compute.attention(
                    query: query, keys: k, values: v, shape: shape, into: attended, weights: $0.baseAddress)
            }
            trace("compressor_attn", averagedOverHeads(&weights, rows: count, keys: keyCount))
        } else {
            compute.attention(query: query, keys: k, values: v, shape: shape, into: attended)
        }
        let out = result.matrix(.f32, rows: count, columns: width)  // [C2, E]
        output(attended, into: out)
        trace?("compressor_out", out)
        return out
    }

    /// Adds pos_embed, interpolated to the keys' grid.
    ///
    /// For C = 1 it is the same vector for all keys, which does not change the softmax, so it is skipped.
    private func addPositions(_ normed: MatrixView) -> MatrixView {
        guard size > 1 else { return normed }
        let side = Int(saturating: Double(normed.rows).squareRoot())
        if upsampled.side != side {
            upsampled = (
                side,
                side == size
                    ? positions : BicubicTable.interpolate(positions, from: size, to: side, width: width)
            )
        }
        let out = positionedKeys.matrix(.f32, rows: normed.rows, columns: width)
        out.floats.update(from: normed.floats, count: normed.rows * width)
        compute.add(upsampled.values, to: out.floats, count: min(upsampled.values.count, normed.rows * width))
        return out
    }

    /// The mean over heads of the weights [h, C2, N]: [C2, N].
    private func averagedOverHeads(_ weights: inout [Float], rows: Int, keys: Int) -> MatrixView {
        let count = rows * keys
        let average = averages.matrix(.f32, rows: rows, columns: keys)
        for index in 0..<count {
            var sum: Float = 0
            for head in 0..<shape.heads { sum += weights[head * count + index] }
            average.floats[index] = sum / Float(shape.heads)
        }
        return average
    }
}

/// torch's bicubic interpolation of a square grid of vectors.
///
/// Half-pixel centers, a = −0.75, no antialiasing, border replicated. Images are resized with a different bicubic
/// filter (docs/model.md, sections 3 and 10).
enum BicubicTable {
    /// Interpolates `grid` [size · size, width] to [side · side, width].
    static func interpolate(_ grid: [Float], from size: Int, to side: Int, width: Int) -> [Float] {
        let taps = (0..<side).map { weights(at: $0, size: size, side: side) }
        var out = [Float](repeating: 0, count: side * side * width)
        for y in 0..<side {
            for x in 0..<side {
                for (row, weightY) in taps[y] {
                    for (column, weightX) in taps[x] {
                        let (source, target) = ((row * size + column) * width, (y * side + x) * width)
                        let weight = weightY * weightX
                        for i in 0..<width { out[target + i] += weight * grid[source + i] }
                    }
                }
            }
        }
        return out
    }

    private static func weights(at index: Int, size: Int, side: Int) -> [(Int, Float)] {
        let scale = Float(size) / Float(side)
        let center = scale * (Float(index) + 0.5) - 0.5
        let base = center.rounded(.down)
        let t = center - base
        let a: Float = -0.75
        func near(_ x: Float) -> Float { ((a + 2) * x - (a + 3)) * x * x + 1 }
        func far(_ x: Float) -> Float { ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
        let weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
        return weights.enumerated().map { (min(max(Int(saturating: base) - 1 + $0.offset, 0), size - 1), $0.element) }
    }
}
