import CKernels
import Testing

/// Every table this CPU runs, against the reference, on odd sizes and misaligned rows.
struct KernelsTests {
    static var tables: [UnsafePointer<lt_kernels>] {
        var found: [UnsafePointer<lt_kernels>] = []
        var entry = lt_kernels_available()
        while let table = entry?.pointee {
            found.append(table)
            entry = entry?.advanced(by: 1)
        }
        return found
    }
    static var names: [String] { tables.map { String(cString: $0.pointee.name) } }
    static let sizes = [1, 2, 3, 7, 15, 16, 17, 31, 64, 97, 128, 257, 1021]

    func table(_ name: String) throws -> lt_kernels {
        try #require(lt_kernels_named(name)).pointee
    }

    /// Deterministic values in -4...4 with a few large ones; a shift of one element makes rows misaligned.
    func values(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return (Float(state >> 40) / Float(1 << 24) - 0.5) * (state & 63 == 0 ? 40 : 8)
        }
    }

    /// Largest deviation, relative to the largest magnitude of the expected values and at least 1.
    func deviation(_ a: [Float], _ b: [Float]) -> Float {
        let magnitude = b.reduce(Float(1)) { max($0, abs($1)) }
        return zip(a, b).reduce(Float(0)) { max($0, $1.0.isFinite ? abs($1.0 - $1.1) : .infinity) } / magnitude
    }

    @Test(arguments: names) func `norms equal the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for n in Self.sizes {
            let rows = 3
            let x = values(rows * (n + 1) + 1, seed: UInt64(n))
            let (weight, bias) = (values(n, seed: 5), values(n, seed: 6))
            for kernel in 0..<2 {
                var out = [[Float]](repeating: [Float](repeating: .nan, count: rows * (n + 2)), count: 2)
                for (index, table) in [tested, reference].enumerated() {
                    x.withUnsafeBufferPointer { x in
                        let start = x.baseAddress! + 1
                        if kernel == 0 {
                            table.layer_norm(start, n + 1, weight, bias, 1e-5, rows, n, &out[index], LT_F32, n + 2)
                        } else {
                            table.rms_norm(start, n + 1, weight, 1e-5, rows, n, &out[index], LT_F32, n + 2)
                        }
                    }
                }
                for row in 0..<rows {
                    let range = row * (n + 2)..<row * (n + 2) + n
                    // A row of one value has variance 0: eps alone divides, and its rounding noise is magnified.
                    #expect(deviation(Array(out[0][range]), Array(out[1][range])) < (n < 3 ? 2e-3 : 3e-6), "n = \(n)")
                }
                #expect(out[0][n].isNaN, "wrote past its row")
            }
        }
    }

    @Test(arguments: names) func `softmax equals the reference, causal and full, and masked columns are 0`(
        name: String
    ) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for n in Self.sizes {
            for (unmasked, step) in [(n, 0), (1, 1), (n / 2, 1)] {
                let rows = 5
                var scores = values(rows * n, seed: UInt64(n * 3 + step))
                var (a, b) = ([Float](repeating: 7, count: rows * n), [Float](repeating: 7, count: rows * n))
                tested.softmax(scores, n, 0.37, rows, n, unmasked, step, &a, LT_F32, n)
                reference.softmax(scores, n, 0.37, rows, n, unmasked, step, &b, LT_F32, n)
                #expect(deviation(a, b) < 1e-6)
                for row in 0..<rows {
                    let limit = min(n, unmasked + row * step)
                    #expect(a[(row * n + limit)..<(row * n + n)].allSatisfy { $0 == 0 })
                    if limit > 0 { #expect(abs(a[row * n..<row * n + n].reduce(0, +) - 1) < 1e-5) }
                }
                var inPlace = scores
                inPlace.withUnsafeMutableBufferPointer {
                    tested.softmax($0.baseAddress, n, 0.37, rows, n, unmasked, step, $0.baseAddress, LT_F32, n)
                }
                #expect(inPlace == a)
                var halves = [UInt16](repeating: 1, count: rows * n)
                tested.softmax(&scores, n, 0.37, rows, n, unmasked, step, &halves, LT_BF16, n)
                let back = halves.map { Float(bitPattern: UInt32($0) << 16) }
                #expect(deviation(back, b) < 1.0 / 256)
            }
        }
    }

    @Test(arguments: names) func `rope, silu and activations equal the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for (heads, headSize) in [(1, 2), (3, 6), (4, 16), (2, 34), (5, 64), (2, 128)] {
            let rows = 3
            let angles = values(rows * headSize / 2, seed: 9)
            let (cosines, sines) = (angles.map { $0 / 8 }, angles.map { 1 - $0 / 8 })
            let x = values(rows * heads * headSize, seed: 11)
            var (a, b) = (x, x)
            tested.rope(&a, LT_F32, heads * headSize, rows, heads, headSize, cosines, sines)
            reference.rope(&b, LT_F32, heads * headSize, rows, heads, headSize, cosines, sines)
            #expect(deviation(a, b) < 1e-6)
        }
        for n in Self.sizes {
            let (x, y) = (values(2 * n, seed: 1), values(2 * n, seed: 2))
            var (a, b) = (x, x)
            tested.silu_multiply(&a, y, LT_F32, n, n, 2, n)
            reference.silu_multiply(&b, y, LT_F32, n, n, 2, n)
            #expect(deviation(a, b) < 1e-6)
            for activation in [LT_ACT_NONE, LT_ACT_QUICK_GELU, LT_ACT_GELU_ERF] {
                (a, b) = (x, x)
                tested.bias_activation(&a, n, y, activation, 2, n)
                reference.bias_activation(&b, n, y, activation, 2, n)
                #expect(deviation(a, b) < 1e-6)
            }
        }
    }

    @Test(arguments: names) func `products of one row equal the reference in f32 and bf16`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for n in Self.sizes {
            let rows = 5
            let (weight, x, bias) = (values(rows * n, seed: 3), values(n, seed: 4), values(rows, seed: 8))
            var halves = [UInt16](repeating: 0, count: rows * n)
            reference.f32_to_bf16(weight, &halves, rows * n)
            for type in [LT_F32, LT_BF16] {
                var (a, b) = (bias, bias)
                let run = { (table: lt_kernels, out: inout [Float]) in
                    if type == LT_F32 {
                        table.gemv(weight, type, n, x, bias, 1, rows, n, &out)
                    } else {
                        table.gemv(halves, type, n, x, bias, 1, rows, n, &out)
                    }
                }
                run(tested, &a)
                run(reference, &b)
                // A sum of n products of up to 4·4 each: eps · n · 16 at worst, its square root in practice.
                #expect(deviation(a, b) < 2e-7 * Float(n).squareRoot() * 16)
            }
        }
    }

    @Test(arguments: names) func `products of a few rows equal the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        let shapes = [
            (1, 1, 1), (5, 2, 7), (4, 3, 8), (9, 7, 31), (66, 18, 64), (7, 4, 2049), (3, 5, 4103), (261, 50, 785),
            (2, 97, 1536),
        ]
        for (rows, count, n) in shapes {
            let (weight, x) = (values(rows * (n + 2), seed: 3), values(count * (n + 1), seed: 4))
            var halves = [UInt16](repeating: 0, count: weight.count)
            reference.f32_to_bf16(weight, &halves, weight.count)
            for accumulate in [0, 1] as [Int32] {
                // The gap after each row must stay as it was.
                var (a, b) = (values(count * (rows + 3), seed: 8), values(count * (rows + 3), seed: 8))
                tested.gemm_bf16(halves, n + 2, x, n + 1, count, accumulate, rows, n, &a, rows + 3)
                reference.gemm_bf16(halves, n + 2, x, n + 1, count, accumulate, rows, n, &b, rows + 3)
                #expect(deviation(a, b) < 2e-7 * Float(n).squareRoot() * 16, "\(rows) of \(n) against \(count)")
            }
        }
    }

    @Test(arguments: names) func `attention of one row equals the reference, grouped heads too`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        let shapes = [
            (4, 4, 8, 1), (8, 2, 16, 37), (6, 2, 32, 129), (2, 1, 6, 5), (6, 6, 32, 24), (14, 2, 64, 43),
            (32, 32, 16, 19),
            (10, 2, 8, 4), (80, 80, 8, 17),
        ]
        for (heads, groups, headSize, keys) in shapes {
            let stride = groups * headSize + 3
            let (q, k, v) = (
                values(heads * headSize, seed: 1), values(keys * stride, seed: 2), values(keys * stride, seed: 3)
            )
            var (halfKeys, halfValues) = (
                [UInt16](repeating: 0, count: k.count), [UInt16](repeating: 0, count: v.count)
            )
            reference.f32_to_bf16(k, &halfKeys, k.count)
            reference.f32_to_bf16(v, &halfValues, v.count)
            for isHalf in [false, true] {
                var results: [[Float]] = []
                for table in [tested, reference] {
                    var scores = [Float](repeating: 0, count: heads * keys)
                    var weights = scores
                    var maxScores = [Float](repeating: 0, count: heads)
                    var expSums = maxScores
                    var out = [Float](repeating: 0, count: heads * headSize)
                    k.withUnsafeBytes { k in
                        v.withUnsafeBytes { v in
                            halfKeys.withUnsafeBytes { halfKeys in
                                halfValues.withUnsafeBytes { halfValues in
                                    table.attention_block(
                                        q, isHalf ? halfKeys.baseAddress : k.baseAddress,
                                        isHalf ? halfValues.baseAddress : v.baseAddress, isHalf ? LT_BF16 : LT_F32,
                                        stride, keys, groups, heads / groups, headSize, 0.25, &scores,
                                        &weights, &maxScores, &expSums, &out)
                                }
                            }
                        }
                    }
                    results.append(maxScores + weights + out.indices.map { out[$0] / expSums[$0 / headSize] })
                }
                #expect(deviation(results[0], results[1]) < 3e-6, "\(heads) heads, \(groups) groups, \(keys) keys")
            }
        }
    }

    @Test(arguments: names) func `blocks of attention are combined as by the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for (blocks, heads, headSize) in [(1, 3, 5), (4, 2, 16), (23, 6, 32)] {
            let maxScores = values(blocks * heads, seed: 5).map { $0 * 40 }
            let expSums = values(blocks * heads, seed: 6).map { 1 + abs($0) }
            let weighted = values(blocks * heads * headSize, seed: 7)
            var (a, b) = (
                [Float](repeating: 1, count: heads * headSize), [Float](repeating: 2, count: heads * headSize)
            )
            var shares = [maxScores, maxScores]
            tested.attention_combine(blocks, heads, headSize, maxScores, expSums, weighted, &shares[0], &a)
            reference.attention_combine(blocks, heads, headSize, maxScores, expSums, weighted, &shares[1], &b)
            #expect(deviation(a + shares[0], b + shares[1]) < 3e-6, "\(blocks) blocks")
        }
    }

    @Test(arguments: names) func `every half and bfloat16 converts exactly`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        let all = (0...UInt16.max).map { $0 }
        for kernel in 0..<2 {
            var (a, b) = ([Float](repeating: 0, count: all.count), [Float](repeating: 0, count: all.count))
            if kernel == 0 {
                tested.f16_to_f32(all, &a, all.count)
                reference.f16_to_f32(all, &b, all.count)
            } else {
                tested.bf16_to_f32(all, &a, all.count)
                reference.bf16_to_f32(all, &b, all.count)
            }
            #expect(zip(a, b).allSatisfy { $0.isNaN ? $1.isNaN : $0.bitPattern == $1.bitPattern })
        }
        var x = values(4099, seed: 77)
        x += [0, -0.0, .infinity, -.infinity, .nan, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        // Ties: halfway between two bfloat16 values.
        x += (0..<64).map { Float(bitPattern: 0x3f80_8000 + UInt32($0) << 16) }
        var (a, b) = ([UInt16](repeating: 0, count: x.count), [UInt16](repeating: 0, count: x.count))
        tested.f32_to_bf16(x, &a, x.count)
        reference.f32_to_bf16(x, &b, x.count)
        #expect(a == b)
    }

    @Test(arguments: names) func `int8 rows come back within half a step`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for n in Self.sizes {
            let x = values(3 * n, seed: 21).enumerated().map { $0.offset < n ? 0 : $0.element }
            var (a, b) = ([Int8](repeating: 1, count: 3 * n), [Int8](repeating: 1, count: 3 * n))
            var (sa, sb) = ([Float](repeating: 0, count: 3), [Float](repeating: 0, count: 3))
            tested.quantize_rows(x, 3, n, &a, &sa)
            reference.quantize_rows(x, 3, n, &b, &sb)
            #expect(a == b && sa == sb)
            var back = [Float](repeating: 0, count: 3 * n)
            tested.dequantize_rows(a, sa, 3, n, &back)
            for i in 0..<3 * n { #expect(abs(back[i] - x[i]) <= sa[i / n] * 0.5001) }
        }
    }

    @Test(arguments: names) func `patch matrices equal the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for (grid, patch) in [(1, 1), (2, 3), (4, 14), (5, 7)] {
            let side = grid * patch
            let rgb = (0..<side * side * 3).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 7) }
            let planes = values(side * side * 3, seed: 2)
            let (mean, std): ([Float], [Float]) = ([0.48, 0.45, 0.40], [0.26, 0.27, 0.28])
            var (a, b) = ([Float](repeating: 0, count: rgb.count), [Float](repeating: 0, count: rgb.count))
            tested.patchify_rgb(rgb, grid, patch, mean, std, &a, LT_F32)
            reference.patchify_rgb(rgb, grid, patch, mean, std, &b, LT_F32)
            #expect(deviation(a, b) < 1e-6)
            tested.patchify_planes(planes, grid, patch, &a, LT_F32)
            reference.patchify_planes(planes, grid, patch, &b, LT_F32)
            #expect(a == b)
        }
    }

    @Test(arguments: names) func `differences of blocks equal the reference`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for count in [1, 2, 7, 8, 9, 21, 84] {
            // Rows that are longer than the blocks, and an odd first byte.
            let stride = 12 * count + 5
            let a = (0..<4 * stride + 1).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 7) }
            let b = (0..<4 * stride + 1).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 29 &+ 3) }
            let (black, white) = ([UInt8](repeating: 0, count: a.count), [UInt8](repeating: 255, count: a.count))
            for (x, y) in [(a, b), (black, white), (a, a)] {
                var found = [[UInt16]](repeating: [UInt16](repeating: 1, count: count + 1), count: 2)
                for (index, table) in [tested, reference].enumerated() {
                    x.withUnsafeBufferPointer { x in
                        y.withUnsafeBufferPointer { y in
                            table.block_differences(
                                x.baseAddress! + 1, y.baseAddress! + 1, stride, count, &found[index])
                        }
                    }
                }
                #expect(found[0] == found[1] && found[0].last == 1)
                if x == black { #expect(found[0].dropLast().allSatisfy { $0 == 48 * 255 }) }
            }
        }
    }

    @Test func `the comparison itself notices a wrong answer`() {
        #expect(deviation([1, 2, 3], [1, 2, 3.001]) > 1e-4)
        #expect(deviation([1, .nan], [1, 2]) == .infinity)
    }

    @Test func `an unknown instruction set is refused, not replaced`() {
        #expect(lt_kernels_named("avx9000") == nil)
    }
}
