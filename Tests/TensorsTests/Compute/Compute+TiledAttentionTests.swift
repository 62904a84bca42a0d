import Tensors
import Testing

/// Attention by tiles, against attention over all scores and against attention of one row.
struct TiledAttentionTests {
    private struct Rows {
        let buffer: Scratch
        let view: MatrixView

        init(_ rows: Int, _ columns: Int, seed: Int, as type: DType, _ compute: Compute) {
            let exact = ComputeTests.Rows(rows, columns, seed: seed)
            buffer = Scratch()
            view = buffer.matrix(type, rows: rows, columns: columns)
            compute.convert(exact.view, into: view)
            withExtendedLifetime(exact) {}
        }
    }

    /// `x` as cached rows of `type`.
    private func cached(
        _ x: MatrixView, _ shape: AttentionShape, _ type: DType, _ compute: Compute, in scratch: Scratch
    ) -> MatrixView {
        let bytes = Compute.keyValueRowBytes(shape, type: type)
        let memory = scratch.matrix(.u8, rows: x.rows, columns: bytes)
        let rows = MatrixView(
            memory.base, type: type, rows: x.rows, columns: x.columns, stride: bytes / type.size)
        compute.store(x, into: rows, shape: shape)
        return rows
    }

    private func floats(_ x: MatrixView, _ compute: Compute) -> [Float] {
        let scratch = Scratch()
        let copy = scratch.matrix(.f32, rows: x.rows, columns: x.columns)
        compute.convert(x, into: copy)
        return (0..<x.rows * x.columns).map { copy.floats[$0] }
    }

    /// The largest difference, relative to the root mean square of `b`.
    private func deviation(_ a: [Float], _ b: [Float]) -> Double {
        let square = b.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(b.count)
        return zip(a, b).reduce(0.0) { max($0, $1.0.isFinite ? abs(Double($1.0 - $1.1)) : .infinity) }
            / square.squareRoot()
    }

    /// Rows over more than `tiledKeys` keys: each row equals the attention of one row over the same cached rows, which
    /// is not tiled. f32 within f32's rounding; bf16 or int8 queries and weights within theirs.
    @Test(arguments: ComputeTests.backends, ComputeTests.instructionSets)
    func `tiled attention equals that of each row alone`(backend: Backend, instructionSet: String?) throws {
        for precision in DType.computeTypes {
            let compute = try Compute(
                precision: precision, backend: backend, threads: 2, instructionSet: instructionSet)
            for type in [precision, .bf16, .i8] {
                for (rows, keys, heads, groups, size) in [
                    (70, Compute.tiledKeys + 131, 4, 2, 16), (5, Compute.tiledKeys, 6, 1, 6), (300, 700, 2, 2, 32),
                    (2, 3, 4, 2, 8),
                ] {
                    let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
                    let q = Rows(rows, heads * size, seed: 1, as: precision, compute)
                    let k = Rows(keys, groups * size, seed: 2, as: precision, compute)
                    let v = Rows(keys, groups * size, seed: 3, as: precision, compute)
                    let scratch = (0..<4).map { _ in Scratch() }
                    let cachedKeys = cached(k.view, shape, type, compute, in: scratch[0])
                    let cachedValues = cached(v.view, shape, type, compute, in: scratch[1])
                    for mask in [AttentionMask.none, .causal(offset: max(0, keys - rows - 1)), .causal(offset: 0)] {
                        let out = Rows(rows, heads * size, seed: 4, as: precision, compute)
                        compute.attention(
                            query: q.view, keys: cachedKeys, values: cachedValues, shape: shape, mask: mask,
                            into: out.view)
                        let found = floats(out.view, compute)
                        for row in Set([0, 1, rows / 2, rows - 1]) {
                            let one = scratch[2].matrix(.f32, rows: 1, columns: heads * size)
                            compute.convert(q.view.rows(row..<row + 1), into: one)
                            let alone = scratch[3].matrix(.f32, rows: 1, columns: heads * size)
                            var rowMask = mask
                            if case .causal(let offset) = mask { rowMask = .causal(offset: offset + row) }
                            compute.attention(
                                query: one, keys: cachedKeys, values: cachedValues, shape: shape, mask: rowMask,
                                into: alone)
                            let part = Array(found[row * heads * size..<(row + 1) * heads * size])
                            let expected = floats(alone, compute)
                            let isExact = precision == .f32 && type != .i8
                            #expect(
                                deviation(part, expected) < (isExact ? 1e-4 : 0.05),
                                "\(precision) over \(type), \(keys) keys, row \(row), \(mask)")
                        }
                    }
                    withExtendedLifetime((scratch, q, k, v)) {}
                }
            }
        }
    }

    @Test(arguments: [DType.f32, .bf16, .i8]) func `the number of threads changes no bit`(type: DType) throws {
        let shape = AttentionShape(heads: 4, keyValueHeads: 2, headSize: 32)
        var results: [[Float]] = []
        for threads in [1, 2, 3] {
            let compute = try Compute(precision: .f32, threads: threads)
            let (rows, keys) = (200, Compute.tiledKeys + 55)
            let q = Rows(rows, 128, seed: 1, as: .f32, compute)
            let k = Rows(keys, 64, seed: 2, as: .f32, compute)
            let v = Rows(keys, 64, seed: 3, as: .f32, compute)
            let scratch = (0..<2).map { _ in Scratch() }
            let out = Rows(rows, 128, seed: 4, as: .f32, compute)
            compute.attention(
                query: q.view, keys: cached(k.view, shape, type, compute, in: scratch[0]),
                values: cached(v.view, shape, type, compute, in: scratch[1]), shape: shape,
                mask: .causal(offset: keys - rows), into: out.view)
            results.append(floats(out.view, compute))
            withExtendedLifetime((scratch, q, k, v)) {}
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    /// int8 keys and values: half a step of each, on values of a normal spread.
    @Test func `int8 keys and values change little`() throws {
        let compute = try Compute(precision: .f32, threads: 2)
        let shape = AttentionShape(heads: 4, keyValueHeads: 2, headSize: 64)
        let (rows, keys) = (40, 300)
        let q = Rows(rows, 256, seed: 1, as: .f32, compute)
        let k = Rows(keys, 128, seed: 2, as: .f32, compute)
        let v = Rows(keys, 128, seed: 3, as: .f32, compute)
        var results: [[Float]] = []
        for type in [DType.f32, .bf16, .i8] {
            let scratch = (0..<2).map { _ in Scratch() }
            let out = Rows(rows, 256, seed: 4, as: .f32, compute)
            let keyRows = cached(k.view, shape, type, compute, in: scratch[0])
            let valueRows = cached(v.view, shape, type, compute, in: scratch[1])
            compute.attention(
                query: q.view, keys: keyRows, values: valueRows, shape: shape, mask: .none, into: out.view)
            var weights: [Float] = []
            let receiver = Compute.WeightsReceiver(heads: [0, 3]) { found in
                weights = floats(found, compute)
            }
            compute.attentionWeights(
                query: q.view.rows(3..<4), Compute.KeyValueRows(keys: keyRows, values: valueRows), shape: shape,
                to: receiver)
            results.append(floats(out.view, compute) + weights)
            #expect(weights.count == 2 * keys && abs(weights[..<keys].reduce(0, +) - 1) < 1e-5)
            withExtendedLifetime(scratch) {}
        }
        #expect(deviation(results[1], results[0]) < 0.05 && deviation(results[2], results[0]) < 0.1)
    }
}
