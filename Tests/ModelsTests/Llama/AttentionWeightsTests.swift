import Tensors
import Testing

/// Looking at attention: the weights are those that attention computes with.
@Suite struct AttentionWeightsTests {
    private func filled(_ buffer: borrowing Buffer<Float>, seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        for index in 0..<buffer.count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            buffer.pointer[index] = Float(state % 2001) / 1000 - 1
        }
    }

    @Test(arguments: [1, 2, 4]) func equalThoseOfAttention(groups: Int) throws {
        let compute = try Compute(precision: .f32, threads: 2)
        let (heads, size, rows, keys) = (4, 24, 5, 300)
        let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
        let query = Buffer<Float>(count: rows * heads * size)
        let key = Buffer<Float>(count: keys * groups * size)
        let value = Buffer<Float>(count: keys * groups * size)
        let out = Buffer<Float>(count: rows * heads * size)
        let full = Buffer<Float>(count: heads * rows * keys)
        filled(query, seed: 1)
        filled(key, seed: 2)
        filled(value, seed: 3)
        let q = MatrixView(query.pointer, rows: rows, columns: heads * size)
        let k = MatrixView(key.pointer, rows: keys, columns: groups * size)
        compute.attention(
            query: q, keys: k, values: MatrixView(value.pointer, rows: keys, columns: groups * size), shape: shape,
            firstVisible: keys - rows + 1, into: MatrixView(out.pointer, rows: rows, columns: heads * size),
            weights: full.pointer)
        let wanted = [3, 0]
        let seen = compute.attentionWeights(query: q.rows(rows - 1..<rows), keys: k, shape: shape, heads: wanted)
        #expect(seen.rows == 2 && seen.columns == keys)
        var worst: Float = 0
        for (place, head) in wanted.enumerated() {
            var total: Float = 0
            for index in 0..<keys {
                let weight = seen.rows(place..<place + 1).floats[index]
                worst = max(worst, abs(weight - full.pointer[(head * rows + rows - 1) * keys + index]))
                total += weight
            }
            #expect(abs(total - 1) < 1e-4)
        }
        // Sums of 24 products, exponentiated and divided: a few roundings of numbers below 1.
        #expect(worst < 1e-6)
    }

    @Test(.enabled(if: Backend.hasOneDNN)) func halvesAreWidened() throws {
        let compute = try Compute(precision: .bf16, threads: 2)
        let (size, keys) = (32, 64)
        let shape = AttentionShape(heads: 2, keyValueHeads: 2, headSize: size)
        let query = Buffer<Float>(count: 2 * size)
        let key = Buffer<Float>(count: keys * 2 * size)
        filled(query, seed: 4)
        filled(key, seed: 5)
        let (narrowQuery, narrowKeys) = (Scratch(), Scratch())
        let q = MatrixView(query.pointer, rows: 1, columns: 2 * size)
        let k = MatrixView(key.pointer, rows: keys, columns: 2 * size)
        let (qh, kh) = (
            narrowQuery.block(.bf16, rows: 1, columns: 2 * size), narrowKeys.block(.bf16, rows: keys, columns: 2 * size)
        )
        compute.convert(q, into: qh)
        compute.convert(k, into: kh)
        let exact = compute.attentionWeights(query: q, keys: k, shape: shape, heads: [1])
        let expected = (0..<keys).map { exact.floats[$0] }
        let rounded = compute.attentionWeights(query: qh, keys: kh, shape: shape, heads: [1])
        for index in 0..<keys {
            // Scores of magnitude 2 from numbers of 8 bits.
            #expect(abs(rounded.floats[index] - expected[index]) < 0.03 * max(expected[index], 0.01))
        }
    }
}
