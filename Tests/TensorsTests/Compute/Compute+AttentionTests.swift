import Glibc
import Tensors
import Testing

/// Attention of both libraries against plain double-precision loops.
@Suite(.serialized) struct ComputeAttentionTests {
    @Test(arguments: ComputeTests.backends, [AttentionMask.none, .causal(offset: 0), .causal(offset: 8)])
    func `attention equals its definition`(backend: Backend, mask: AttentionMask) throws {
        let compute = try Compute(precision: .f32, backend: backend, threads: 2)
        for (rows, keys, heads, groups, size) in [(1, 9, 4, 4, 8), (6, 14, 4, 2, 16), (17, 25, 6, 1, 6)] {
            let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
            let q = ComputeTests.Rows(rows, heads * size, seed: 1)
            let (k, v) = (
                ComputeTests.Rows(keys, groups * size, stride: groups * size + 2, seed: 2),
                ComputeTests.Rows(keys, groups * size, stride: groups * size + 2, seed: 3)
            )
            let out = ComputeTests.Rows(rows, heads * size, seed: 4)
            compute.attention(
                query: q.view, keys: k.view, values: v.view, shape: shape, mask: mask, into: out.view)
            for row in 0..<rows {
                var limit = keys
                if case .causal(let offset) = mask { limit = min(keys, offset + row + 1) }
                for head in 0..<heads {
                    let group = head / (heads / groups) * size
                    let scores = (0..<limit).map { key in
                        (0..<size).reduce(0.0) { $0 + q[row, head * size + $1] * k[key, group + $1] }
                            / Double(size).squareRoot()
                    }
                    let weights = scores.map { exp($0 - (scores.max() ?? 0)) }
                    let total = weights.reduce(0, +)
                    for i in 0..<size {
                        let expected = (0..<limit).reduce(0.0) { $0 + weights[$1] / total * v[$1, group + i] }
                        #expect(abs(out[row, head * size + i] - expected) < 2e-6)
                    }
                }
            }
        }
    }

    @Test func `rows cut into slices attend as they do together`() throws {
        let compute = try Compute(precision: .f32, threads: 2)
        // Scores of 40,000 keys × 8 heads leave room for 52 rows at a time.
        let (rows, keys) = (120, 40_000)
        let shape = AttentionShape(heads: 8, keyValueHeads: 1, headSize: 4)
        let (q, k, v) = (
            ComputeTests.Rows(rows, 32, seed: 1), ComputeTests.Rows(keys, 4, seed: 2),
            ComputeTests.Rows(keys, 4, seed: 3)
        )
        let (together, alone) = (ComputeTests.Rows(rows, 32, seed: 4), ComputeTests.Rows(1, 32, seed: 5))
        let offset = keys - rows
        compute.attention(
            query: q.view, keys: k.view, values: v.view, shape: shape, mask: .causal(offset: offset),
            into: together.view)
        for row in [0, 51, 52, 53, 104, 119] {
            compute.attention(
                query: q.view.rows(row..<row + 1), keys: k.view, values: v.view, shape: shape,
                mask: .causal(offset: offset + row), into: alone.view)
            for i in 0..<32 { #expect(abs(together[row, i] - alone[0, i]) < 1e-5, "row \(row)") }
        }
    }

    @Test(arguments: ComputeTests.backends, ComputeTests.instructionSets)
    func `attention in bf16 is that of f32 within its rounding`(
        backend: Backend, instructionSet: String?
    ) throws {
        let wide = try Compute(precision: .f32, backend: backend, threads: 2)
        let narrow = try Compute(precision: .bf16, backend: backend, threads: 2, instructionSet: instructionSet)
        for (rows, keys, heads, groups, size) in [(6, 14, 4, 2, 16), (17, 25, 6, 1, 6), (20, 300, 8, 2, 64)] {
            let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
            let q = ComputeTests.Rows(rows, heads * size, seed: 1)
            let (k, v) = (
                ComputeTests.Rows(keys, groups * size, seed: 2), ComputeTests.Rows(keys, groups * size, seed: 3)
            )
            let (expected, found) = (
                ComputeTests.Rows(rows, heads * size, seed: 4), ComputeTests.Rows(rows, heads * size, seed: 5)
            )
            let mask = AttentionMask.causal(offset: keys - rows)
            wide.attention(
                query: q.view, keys: k.view, values: v.view, shape: shape, mask: mask, into: expected.view)
            let scratch = (0..<4).map { _ in Scratch() }
            let out = scratch[3].matrix(.bf16, rows: rows, columns: heads * size)
            narrow.attention(
                query: ComputeTests.bf16(q, narrow, in: scratch[0]), keys: ComputeTests.bf16(k, narrow, in: scratch[1]),
                values: ComputeTests.bf16(v, narrow, in: scratch[2]), shape: shape, mask: mask, into: out)
            narrow.convert(out, into: found.view)
            withExtendedLifetime(scratch) {}
            for row in 0..<rows {
                for i in 0..<heads * size { #expect(abs(found[row, i] - expected[row, i]) < 0.02) }
            }
        }
    }

    @Test(arguments: ComputeTests.backends, ComputeTests.instructionSets) func `sequences attend as each does alone`(
        backend: Backend, instructionSet: String?
    ) throws {
        for type in DType.computeTypes {
            let compute = try Compute(precision: type, backend: backend, threads: 2, instructionSet: instructionSet)
            // More keys than are multiplied at a time.
            for (heads, groups, rows, keys, offset) in [(4, 2, 5, 1030, 1025), (2, 2, 2, 3, 1), (6, 1, 3, 512, 0)] {
                let (sequences, size) = (3, 8)
                let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
                let scratch = (0..<5).map { _ in Scratch() }
                func filled(_ index: Int, _ rows: Int, _ columns: Int) -> MatrixView {
                    let out = scratch[index].matrix(type, rows: rows, columns: columns)
                    let values = ComputeTests.Rows(rows, columns, seed: index)
                    withExtendedLifetime(values) { compute.convert(values.view, into: out) }
                    return out
                }
                let (q, k) = (filled(0, sequences * rows, heads * size), filled(1, sequences * keys, groups * size))
                let (v, together) = (filled(2, sequences * keys, groups * size), filled(3, q.rows, q.columns))
                compute.attention(
                    sequences: sequences, query: q, keys: k, values: v, shape: shape,
                    mask: .causal(offset: offset), into: together)
                let alone = filled(4, rows, q.columns)
                let (found, expected) = (
                    ComputeTests.Rows(rows, q.columns, seed: 5), ComputeTests.Rows(rows, q.columns, seed: 6)
                )
                for sequence in 0..<sequences {
                    let (queryRows, keyRows) = (
                        sequence * rows..<(sequence + 1) * rows, sequence * keys..<(sequence + 1) * keys
                    )
                    compute.attention(
                        query: q.rows(queryRows), keys: k.rows(keyRows), values: v.rows(keyRows), shape: shape,
                        mask: .causal(offset: offset), into: alone)
                    compute.convert(alone, into: expected.view)
                    compute.convert(together.rows(queryRows), into: found.view)
                    for row in 0..<rows {
                        for i in 0..<q.columns {
                            #expect(abs(found[row, i] - expected[row, i]) < (type == .f32 ? 2e-6 : 0.01))
                        }
                    }
                }
                withExtendedLifetime(scratch) {}
            }
        }
    }

    private func filled(_ buffer: borrowing Buffer<Float>, seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        for index in 0..<buffer.count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            buffer.pointer[index] = Float(state % 2001) / 1000 - 1
        }
    }

    /// The weights [heads][S] of one query row.
    private func weights(
        of query: MatrixView, _ part: Compute.KeyValueRows, _ shape: AttentionShape, heads: [Int], _ compute: Compute
    ) -> [[Float]] {
        var found: [[Float]] = []
        let receiver = Compute.WeightsReceiver(heads: heads) { weights in
            found = (0..<weights.rows).map { row in
                Array(UnsafeBufferPointer(start: weights.rows(row..<row + 1).floats, count: weights.columns))
            }
        }
        compute.attentionWeights(query: query, part, shape: shape, to: receiver)
        return found
    }

    /// Three sequences that share 512 positions and go on by themselves, of which two are recorded.
    @Test func `attention weights of sequences are those of each alone`() throws {
        let compute = try Compute(precision: .f32, threads: 2)
        let shape = AttentionShape(heads: 4, keyValueHeads: 2, headSize: 24)
        let (width, shared) = (2 * 24, Compute.sharedKeysMultiple)
        let lengths = [3, 700, 1]  // positions of each sequence's own
        let (q, out) = (ComputeTests.Rows(3, 96, seed: 1), ComputeTests.Rows(3, 96, seed: 2))
        // Of each sequence the shared positions, then its own.
        let (k, v) = (ComputeTests.Rows(shared, width, seed: 3), ComputeTests.Rows(shared, width, seed: 4))
        let own = lengths.indices.map { index in
            (
                ComputeTests.Rows(lengths[index], width, seed: 5 + index),
                ComputeTests.Rows(lengths[index], width, seed: 8 + index)
            )
        }
        var found: [Int: [Float]] = [:]
        let receivers: [Compute.WeightsReceiver?] = (0..<3).map { sequence in
            if sequence == 0 { return nil }
            return Compute.WeightsReceiver(heads: [sequence]) { weights in
                found[sequence] = Array(UnsafeBufferPointer(start: weights.floats, count: weights.columns))
            }
        }
        compute.attention(
            query: q.view,
            sequences: own.map { keys, values in
                [
                    Compute.KeyValueRows(keys: k.view, values: v.view),
                    Compute.KeyValueRows(keys: keys.view, values: values.view),
                ]
            }, shape: shape, receivers: receivers, into: out.view)
        #expect(found.keys.sorted() == [1, 2])
        for sequence in [1, 2] {
            let whole = ComputeTests.Rows(shared + lengths[sequence], width, seed: 20)
            whole.view.floats.update(from: k.view.floats, count: shared * width)
            (whole.view.floats + shared * width).update(
                from: own[sequence].0.view.floats, count: lengths[sequence] * width)
            let alone = weights(
                of: q.view.rows(sequence..<sequence + 1),
                Compute.KeyValueRows(keys: whole.view, values: whole.view), shape, heads: [sequence], compute)
            #expect(found[sequence] == alone[0], "sequence \(sequence)")
        }
        withExtendedLifetime((q, out, k, v, own)) {}
    }

    @Test(arguments: [1, 2, 4]) func `attention weights are those that attention computes with`(groups: Int) throws {
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
            mask: .causal(offset: keys - rows), into: MatrixView(out.pointer, rows: rows, columns: heads * size),
            weights: full.pointer)
        let wanted = [3, 0]
        let part = Compute.KeyValueRows(
            keys: k, values: MatrixView(value.pointer, rows: keys, columns: groups * size))
        let found = weights(of: q.rows(rows - 1..<rows), part, shape, heads: wanted, compute)
        #expect(found.count == 2 && found.allSatisfy { $0.count == keys })
        var worst: Float = 0
        for (index, head) in wanted.enumerated() {
            for key in 0..<keys {
                worst = max(worst, abs(found[index][key] - full.pointer[(head * rows + rows - 1) * keys + key]))
            }
            #expect(abs(found[index].reduce(0, +) - 1) < 1e-4)
        }
        // Sums of 24 products, exponentiated and divided: a few roundings of values below 1.
        #expect(worst < 1e-6)
    }

    @Test(.enabled(if: Backend.hasOneDNN)) func `attention weights of bf16 rows are upcast`() throws {
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
            narrowQuery.matrix(.bf16, rows: 1, columns: 2 * size),
            narrowKeys.matrix(.bf16, rows: keys, columns: 2 * size)
        )
        compute.convert(q, into: qh)
        compute.convert(k, into: kh)
        let exact = weights(of: q, Compute.KeyValueRows(keys: k, values: k), shape, heads: [1], compute)[0]
        let rounded = weights(of: qh, Compute.KeyValueRows(keys: kh, values: kh), shape, heads: [1], compute)[0]
        for index in 0..<keys {
            // Scores of magnitude 2 from values of 8 bits.
            #expect(abs(rounded[index] - exact[index]) < 0.03 * max(exact[index], 0.01))
        }
    }
}
