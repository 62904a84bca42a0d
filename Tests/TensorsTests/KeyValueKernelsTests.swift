import CKernels
import Glibc
import Testing

/// Kernels of int8 keys and values and of tiles of attention, against the reference.
struct KeyValueKernelsTests {
    private let kernels = KernelsTests()
    private static let shapes = [
        (4, 4, 8, 1), (8, 2, 16, 37), (6, 2, 32, 129), (2, 1, 6, 5), (14, 2, 64, 43), (32, 8, 128, 70), (10, 2, 8, 4),
    ]

    /// Rows of int8 values with scales, quantized by the reference; `padding` bytes follow each row.
    private func quantized(_ x: [Float], heads: Int, headSize: Int, padding: Int = 3) -> (bytes: [Int8], stride: Int) {
        let stride = heads * (headSize + 4) + padding
        let rows = x.count / (heads * headSize)
        var bytes = [Int8](repeating: 77, count: rows * stride)
        lt_kernels_reference.quantize_key_values(
            x, LT_F32, heads * headSize, rows, heads, headSize, &bytes, stride)
        return (bytes, stride)
    }

    @Test(arguments: KernelsTests.names) func `int8 keys have the same bits in every table`(name: String) throws {
        let (tested, reference) = (try kernels.table(name), lt_kernels_reference)
        for (heads, headSize) in [(1, 1), (2, 6), (3, 64), (2, 97), (8, 128)] {
            let (rows, width) = (5, heads * headSize)
            var x = kernels.values(rows * (width + 2), seed: 3)
            for i in 0..<headSize { x[i] = 0 }
            x[width + 2] = Float(bitPattern: 70_000)  // subnormal
            var halves = [UInt16](repeating: 0, count: x.count)
            reference.f32_to_bf16(x, &halves, x.count)
            let stride = heads * (headSize + 4) + 1
            for type in [LT_F32, LT_BF16] {
                var (a, b) = ([Int8](repeating: 5, count: rows * stride), [Int8](repeating: 5, count: rows * stride))
                x.withUnsafeBytes { x in
                    halves.withUnsafeBytes { halves in
                        let source = type == LT_F32 ? x.baseAddress : halves.baseAddress
                        tested.quantize_key_values(source, type, width + 2, rows, heads, headSize, &a, stride)
                        reference.quantize_key_values(source, type, width + 2, rows, heads, headSize, &b, stride)
                    }
                }
                #expect(a == b, "\(heads) heads of \(headSize)")
                for head in 0..<heads {
                    var c = [Float](repeating: 1, count: rows * (headSize + 1))
                    var d = c
                    tested.dequantize_key_values(a, stride, rows, heads, headSize, head, &c, LT_F32, headSize + 1)
                    reference.dequantize_key_values(a, stride, rows, heads, headSize, head, &d, LT_F32, headSize + 1)
                    #expect(c == d)
                    for row in 0..<rows where type == LT_F32 {
                        let source = (0..<headSize).map { x[row * (width + 2) + head * headSize + $0] }
                        // Half a step, and one rounding of the scale.
                        let step = (source.map(abs).max() ?? 0) / 127
                        for i in 0..<headSize {
                            #expect(abs(c[row * (headSize + 1) + i] - source[i]) <= 0.5001 * step + 1e-30)
                        }
                    }
                    var (e, f) = ([UInt16](repeating: 1, count: c.count), [UInt16](repeating: 1, count: c.count))
                    tested.dequantize_key_values(a, stride, rows, heads, headSize, head, &e, LT_BF16, headSize + 1)
                    reference.dequantize_key_values(a, stride, rows, heads, headSize, head, &f, LT_BF16, headSize + 1)
                    #expect(e == f)
                }
            }
        }
    }

    /// A value that is not finite must not disappear: the model's output is checked for it.
    @Test(arguments: KernelsTests.names, [Float.nan, .infinity, -.infinity])
    func `int8 keys keep values that are not finite`(name: String, value: Float) throws {
        let tested = try kernels.table(name)
        for index in [0, 5, 17] {
            var x = kernels.values(40, seed: 9)
            x[20 + index] = value
            var bytes = [Int8](repeating: 0, count: 48)
            tested.quantize_key_values(x, LT_F32, 40, 1, 2, 20, &bytes, 48)
            var out = [Float](repeating: 0, count: 20)
            tested.dequantize_key_values(bytes, 48, 1, 2, 20, 1, &out, LT_F32, 20)
            #expect(out.allSatisfy { $0.isNaN })
            tested.dequantize_key_values(bytes, 48, 1, 2, 20, 0, &out, LT_F32, 20)
            #expect(out.allSatisfy { $0.isFinite })
        }
    }

    @Test(arguments: KernelsTests.names) func `attention of one row over int8 equals the reference`(name: String) throws
    {
        for (heads, groups, headSize, keys) in Self.shapes {
            let q = kernels.values(heads * headSize, seed: 1)
            let (k, stride) = quantized(
                kernels.values(keys * groups * headSize, seed: 2), heads: groups, headSize: headSize)
            let (v, _) = quantized(kernels.values(keys * groups * headSize, seed: 3), heads: groups, headSize: headSize)
            var results: [[Float]] = []
            for table in [try kernels.table(name), lt_kernels_reference] {
                var scores = [Float](repeating: 0, count: heads * keys)
                var weights = scores
                var maxScores = [Float](repeating: 0, count: heads)
                var expSums = maxScores
                var out = [Float](repeating: 0, count: heads * headSize)
                table.attention_block(
                    q, k, v, LT_I8, stride, keys, groups, heads / groups, headSize, 0.25, &scores, &weights,
                    &maxScores, &expSums, &out)
                results.append(maxScores + weights + out.indices.map { out[$0] / expSums[$0 / headSize] })
            }
            // Sums of headSize products of magnitude 16 in f32, as for f32 keys.
            #expect(kernels.deviation(results[0], results[1]) < 6e-6, "\(heads) heads, \(groups) groups, \(keys)")
        }
    }

    /// One case of attention over int8 keys and values: rows of KV head 1, or the only one.
    private struct RowsCase: CustomStringConvertible {
        let queries: Int, group: Int, headSize: Int, keys: Int, heads: Int, step: Int
        var description: String { "\(queries) queries of \(group) heads of \(headSize), \(keys) keys, step \(step)" }
    }

    private static let rowsCases = [
        RowsCase(queries: 1, group: 1, headSize: 1, keys: 1, heads: 1, step: 0),
        RowsCase(queries: 2, group: 3, headSize: 6, keys: 5, heads: 2, step: 1),
        RowsCase(queries: 5, group: 7, headSize: 97, keys: 127, heads: 2, step: 0),
        RowsCase(queries: 40, group: 4, headSize: 64, keys: 300, heads: 2, step: 1),
        RowsCase(queries: 9, group: 4, headSize: 128, keys: 521, heads: 8, step: 1),
        RowsCase(queries: 3, group: 2, headSize: 80, keys: 129, heads: 2, step: 0),
    ]

    /// Runs the kernel of `table` on the last KV head; `first` is the number of keys that query 0 attends to.
    private func rows(
        _ table: lt_kernels, _ c: RowsCase, q: UnsafeRawPointer, type: lt_dtype, k: [Int8], v: [Int8], stride: Int,
        first: Int
    ) -> [Float] {
        let width = c.group * c.headSize
        var out = [Float](repeating: 7, count: c.queries * width)
        var halves = [UInt16](repeating: 7, count: c.queries * width)
        let bytes = table.attention_int8_scratch(c.queries, c.group, c.headSize)
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { scratch.deallocate() }
        scratch.initializeMemory(as: UInt8.self, repeating: 0x5a, count: bytes + 64)
        k.withUnsafeBufferPointer { k in
            v.withUnsafeBufferPointer { v in
                out.withUnsafeMutableBytes { out in
                    halves.withUnsafeMutableBytes { halves in
                        var attention = lt_int8_attention(
                            q: q, type: type, q_stride: width, queries: c.queries, group: c.group,
                            head_size: c.headSize, keys: k.baseAddress, values: v.baseAddress, kv_stride: stride,
                            key_count: c.keys, kv_heads: c.heads, kv_head: c.heads - 1, unmasked: first,
                            unmasked_step: c.step, scale: 0.1,
                            out: type == LT_F32 ? out.baseAddress : halves.baseAddress, out_stride: width,
                            scratch: scratch)
                        table.attention_int8(&attention)
                    }
                }
            }
        }
        let isIntact = UnsafeRawBufferPointer(start: scratch + bytes, count: 64).allSatisfy { $0 == 0x5a }
        #expect(isIntact, "\(c): writes past its scratch memory")
        return type == LT_F32 ? out : halves.map { Float(bitPattern: UInt32($0) << 16) }
    }

    private func cosine(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
        func dot(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
            zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
    }

    /// 2^x is within 1e-4, so that 2.5 % of the weights may be rounded to the neighbor, 1/254 away.
    @Test(arguments: KernelsTests.names)
    func `attention of rows over int8 equals the reference, and f32 within quantization`(name: String) throws {
        let (table, reference) = (try kernels.table(name), lt_kernels_reference)
        for c in Self.rowsCases {
            let (width, kvWidth) = (c.group * c.headSize, c.heads * c.headSize)
            // Scores with a standard deviation of at most 1.5, as in trained models; without outliers.
            let q = kernels.values(c.queries * width, seed: 1).map { max(-1, min(1, $0 / 4)) }
            let keys = kernels.values(c.keys * kvWidth, seed: 2).map { max(-4, min(4, $0)) }
            let values = kernels.values(c.keys * kvWidth, seed: 3).map { max(-4, min(4, $0)) }
            let (k, stride) = quantized(keys, heads: c.heads, headSize: c.headSize)
            let (v, _) = quantized(values, heads: c.heads, headSize: c.headSize)
            var halves = [UInt16](repeating: 0, count: q.count)
            reference.f32_to_bf16(q, &halves, q.count)
            let first = max(1, c.keys - c.queries)
            let found = rows(table, c, q: q, type: LT_F32, k: k, v: v, stride: stride, first: first)
            let expected = rows(reference, c, q: q, type: LT_F32, k: k, v: v, stride: stride, first: first)
            #expect(kernels.deviation(found, expected) < 5e-3, "\(c)")
            let inHalves = rows(table, c, q: halves, type: LT_BF16, k: k, v: v, stride: stride, first: first)
            let halvesExpected = rows(reference, c, q: halves, type: LT_BF16, k: k, v: v, stride: stride, first: first)
            #expect(kernels.deviation(inHalves, halvesExpected) < 1e-2, "\(c) in bf16")
            // Attention in f32 of what was not quantized.
            for row in 0..<c.queries * c.group {
                let count = min(c.keys, first + row / c.group * c.step)
                let query = q[row * c.headSize..<(row + 1) * c.headSize]
                let scores = (0..<count).map { key in
                    let start = key * kvWidth + (c.heads - 1) * c.headSize
                    return 0.1 * zip(query, keys[start..<start + c.headSize]).reduce(Float(0)) { $0 + $1.0 * $1.1 }
                }
                let most = scores.max() ?? 0
                let weights = scores.map { exp($0 - most) }
                var exact = [Float](repeating: 0, count: c.headSize)
                for (key, weight) in weights.enumerated() {
                    let start = key * kvWidth + (c.heads - 1) * c.headSize
                    for i in 0..<c.headSize { exact[i] += weight * values[start + i] }
                }
                let slice = found[row * c.headSize..<(row + 1) * c.headSize]
                #expect(cosine(slice, exact[...]) > 0.999, "\(c), row \(row)")
            }
        }
    }

    /// Of all-zero values and keys, of a key far above all others, and with a value that is not finite.
    @Test(arguments: KernelsTests.names)
    func `attention of rows over int8 keeps special values`(name: String) throws {
        let c = RowsCase(queries: 3, group: 2, headSize: 8, keys: 140, heads: 1, step: 0)
        let table = try kernels.table(name)
        let q = kernels.values(48, seed: 1)
        func result(_ keys: [Float], _ values: [Float]) -> [Float] {
            let (k, stride) = quantized(keys, heads: 1, headSize: 8)
            let (v, _) = quantized(values, heads: 1, headSize: 8)
            return rows(table, c, q: q, type: LT_F32, k: k, v: v, stride: stride, first: 140)
        }
        let (keys, zeros) = (kernels.values(140 * 8, seed: 2), [Float](repeating: 0, count: 140 * 8))
        #expect(result(keys, zeros).allSatisfy { $0 == 0 })
        // Equal weights: the mean of the values, of which half are zero.
        var values = zeros
        for key in 0..<70 { for i in 0..<8 { values[key * 8 + i] = Float(i + 1) } }
        for (index, value) in result(zeros, values).enumerated() {
            #expect(abs(value - Float(index % 8 + 1) / 2) < 0.03, "\(value) at \(index)")
        }
        for special in [Float.nan, .infinity] {
            var broken = values
            broken[139 * 8] = special
            #expect(result(keys, broken).allSatisfy { $0.isNaN })
            broken = keys
            broken[130 * 8] = special
            #expect(result(broken, values).allSatisfy { $0.isNaN })
        }
    }

    @Test(arguments: KernelsTests.names, [0, 1])
    func `tiles of a softmax equal the reference`(name: String, step: Int) throws {
        let (rows, headSize) = (7, 5)
        for type in [LT_F32, LT_BF16] {
            var results: [[Float]] = []
            for table in [try kernels.table(name), lt_kernels_reference] {
                var maxScores = [Float](repeating: -.infinity, count: rows)
                var expSums = [Float](repeating: 0, count: rows)
                var sums = [Float](repeating: 0, count: rows * headSize)
                var weights: [Float] = []
                // With a step the first rows see nothing of the second tile, and no row the third.
                for (index, (n, unmasked)) in [(19, 19), (33, step == 1 ? -3 : 33), (17, step == 1 ? -36 : 40)]
                    .enumerated()
                {
                    var scores = kernels.values(rows * (n + 2), seed: UInt64(index + 1))
                    var halves = [UInt16](repeating: 9, count: rows * n)
                    if type == LT_F32 {
                        table.softmax_tile(
                            scores.withUnsafeMutableBufferPointer { $0.baseAddress! }, n + 2, 0.5, rows, n, unmasked,
                            step, &maxScores, &expSums, &sums, headSize,
                            scores.withUnsafeMutableBytes { $0.baseAddress! }, LT_F32, n + 2)
                        for row in 0..<rows { weights += scores[row * (n + 2)..<row * (n + 2) + n] }
                    } else {
                        table.softmax_tile(
                            &scores, n + 2, 0.5, rows, n, unmasked, step, &maxScores, &expSums, &sums, headSize,
                            &halves,
                            LT_BF16, n)
                        weights += halves.map { Float(bitPattern: UInt32($0) << 16) }
                    }
                    for i in sums.indices { sums[i] += Float(i % 7) }
                }
                var out = [Float](repeating: 0, count: rows * (headSize + 1))
                table.softmax_finish(sums, expSums, rows, headSize, &out, LT_F32, headSize + 1)
                results.append(weights + maxScores + expSums + sums + out)
            }
            // exp within 2 ulp; a weight of at most 1 in bf16 may round to its neighbor.
            #expect(kernels.deviation(results[0], results[1]) < (type == LT_F32 ? 3e-6 : 4e-3))
        }
    }
}
