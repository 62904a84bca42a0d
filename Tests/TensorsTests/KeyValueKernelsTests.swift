import CKernels
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
                var maxScores = [Float](repeating: 0, count: heads)
                var expSums = maxScores
                var out = [Float](repeating: 0, count: heads * headSize)
                table.attention_block(
                    q, k, v, LT_I8, stride, keys, groups, heads / groups, headSize, 0.25, &scores, &maxScores,
                    &expSums, &out)
                results.append(maxScores + out.indices.map { out[$0] / expSums[$0 / headSize] })
            }
            // Sums of headSize products of magnitude 16 in f32, as for f32 keys.
            #expect(kernels.deviation(results[0], results[1]) < 6e-6, "\(heads) heads, \(groups) groups, \(keys)")
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
