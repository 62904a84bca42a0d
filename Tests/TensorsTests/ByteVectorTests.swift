import CKernels
import Tensors
import Testing

/// Dot products of bytes: exact, so every table must give the sum of a plain loop.
struct ByteVectorTests {
    static let sizes = KernelsTests.sizes + [63, 65, 127, 129, 191, 192, 193, 768, 4099]

    /// Bytes of any value, -128 included.
    private func bytes(_ count: Int, seed: UInt64) -> [Int8] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int8(truncatingIfNeeded: state >> 32)
        }
    }

    private func loop(_ rows: [Int8], first: Int, stride: Int, count: Int, _ query: [Int8]) -> [Int32] {
        (0..<count).map { row in
            Int32(query.indices.reduce(0) { $0 + Int(rows[first + row * stride + $1]) * Int(query[$1]) })
        }
    }

    @Test(arguments: KernelsTests.names + ["reference"])
    func `bytes equal a plain loop, on odd sizes, strides and addresses`(name: String) throws {
        let table = name == "reference" ? lt_kernels_reference : try KernelsTests().table(name)
        for n in Self.sizes {
            for (gap, count, first) in [(0, 5, 0), (3, 4, 1), (64, 1, 7)] {
                let (stride, query) = (n + gap, bytes(n, seed: UInt64(n + gap)))
                let rows = bytes(first + count * stride, seed: UInt64(n) &+ 99)
                var out = [Int32](repeating: 77, count: count + 1)
                rows.withUnsafeBufferPointer { rows in
                    table.dot_i8(rows.baseAddress! + first, stride, count, n, query, &out)
                }
                #expect(Array(out.dropLast()) == loop(rows, first: first, stride: stride, count: count, query))
                #expect(out[count] == 77, "wrote past its rows")
            }
        }
    }

    @Test(arguments: KernelsTests.names) func `the largest sums fit`(name: String) throws {
        let n = ByteVector.maxCount
        for (a, b) in [(-128, -128), (127, -128), (127, 127), (-128, 127)] {
            let (rows, query) = ([Int8](repeating: Int8(a), count: n), [Int8](repeating: Int8(b), count: n))
            var out: Int32 = 0
            try KernelsTests().table(name).dot_i8(rows, n, 1, n, query, &out)
            #expect(Int(out) == a * b * n)
        }
    }

    /// `ByteVector`: products of quantized vectors are those of the values, within the rounding.
    @Test(arguments: Kernels.available) func `quantized vectors keep their cosines`(name: String) throws {
        let kernels = try #require(Kernels(named: name))
        for n in [1, 7, 48, 128, 768, 1021] {
            let (count, gap) = (9, 5)
            let floats = (0..<count).map { KernelsTests().values(n, seed: UInt64($0 + 31 * n)).map { $0 / 40 } }
            let vectors = floats.map { ByteVector($0, kernels: kernels) }
            let query = vectors[count - 1]
            var rows = [Int8](repeating: 55, count: count * (n + gap))
            for (row, vector) in vectors.enumerated() {
                rows.replaceSubrange(row * (n + gap)..<row * (n + gap) + n, with: vector.bytes)
            }
            var out = [Int32](repeating: 0, count: count)
            kernels.dots(query, rows: rows, stride: n + gap, count: count, into: &out)
            var exact = [Float](repeating: 0, count: count)
            kernels.dots(floats[count - 1], rows: floats.flatMap { $0 }, stride: n, count: count, into: &exact)
            for row in 0..<count {
                let found = Double(out[row]) * Double(vectors[row].scale) * Double(query.scale)
                let plain = zip(floats[row], floats[count - 1]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                #expect(abs(Double(exact[row]) - plain) < 1e-5 * Double(n))
                // Half a step of either times the other's length (in the sum of magnitudes) bounds the error.
                let bound =
                    0.5001
                    * (Double(vectors[row].scale) * floats[count - 1].reduce(0.0) { $0 + Double(abs($1)) }
                        + Double(query.scale) * floats[row].reduce(0.0) { $0 + Double(abs($1)) }
                        + Double(vectors[row].scale) * Double(query.scale) * Double(n))
                #expect(abs(found - plain) <= bound)
            }
        }
    }
}
