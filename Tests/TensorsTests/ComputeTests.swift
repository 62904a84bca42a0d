import Glibc
import Tensors
import Testing

/// Products and attention of both libraries against plain double-precision loops.
@Suite(.serialized) struct ComputeTests {
    static var backends: [Backend] { Backend.hasOneDNN ? [.oneDNN, .openBLAS] : [.openBLAS] }

    /// A block with memory of its own, filled with deterministic values; `stride` leaves a gap after each row.
    final class Rows {
        let buffer: Buffer<Float>
        let block: MatrixView

        init(_ rows: Int, _ columns: Int, stride: Int? = nil, seed: Int) {
            let step = stride ?? columns
            buffer = Buffer(count: rows * step)
            for i in 0..<rows * step { buffer.pointer[i] = Float((i &* 7919 &+ seed &* 104729) % 2003) / 1001 - 1 }
            block = MatrixView(
                UnsafeMutableRawPointer(buffer.pointer), type: .f32, rows: rows, columns: columns, stride: step)
        }

        subscript(row: Int, column: Int) -> Double { Double(buffer.pointer[row * block.stride + column]) }
    }

    func matrix(_ rows: Int, _ columns: Int, as type: DType = .f32, seed: Int, _ compute: Compute) throws -> (
        Matrix, Rows
    ) {
        let values = Rows(rows, columns, seed: seed)
        let bytes = UnsafeRawBufferPointer(start: values.buffer.pointer, count: rows * columns * 4)
        let tensor = StoredTensor(name: "w", type: .f32, shape: [rows, columns], bytes: bytes, owner: values)
        return (try #require(Matrix(tensor, as: type, compute: compute)), values)
    }

    func activate(_ x: Double, _ activation: Activation) -> Double {
        switch activation {
        case .none: x
        case .quickGELU: x / (1 + exp(-1.702 * x))
        case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        }
    }

    @Test(arguments: backends) func `a linear layer equals its definition`(backend: Backend) throws {
        let compute = try Compute(precision: .f32, backend: backend, threads: 2)
        for (rows, inputs, outputs) in [(1, 7, 5), (2, 16, 3), (5, 33, 17), (64, 96, 128), (129, 64, 65)] {
            let x = Rows(rows, inputs, stride: inputs + 3, seed: 1)
            let (weight, values) = try matrix(outputs, inputs, seed: 2, compute)
            let bias = (0..<outputs).map { Float($0) / 10 }
            for (activation, accumulate) in [
                (Activation.none, false), (.none, true), (.quickGELU, false), (.gelu, false),
            ] {
                let out = Rows(rows, outputs, stride: outputs + 5, seed: 3)
                let before = (0..<rows).map { row in (0..<outputs).map { out[row, $0] } }
                compute.linear(
                    x.block, weight, bias: bias, activation: activation, accumulate: accumulate, into: out.block)
                for row in 0..<rows {
                    for column in 0..<outputs {
                        var expected = Double(bias[column])
                        for i in 0..<inputs { expected += x[row, i] * values[column, i] }
                        expected = activate(expected, activation) + (accumulate ? before[row][column] : 0)
                        // inputs products of at most 1, each rounded: inputs · 2⁻²⁴, with a factor for the activation.
                        let tolerance = Double(inputs + 8) * 2e-7
                        #expect(abs(out[row, column] - expected) < tolerance, "\(rows)×\(inputs)→\(outputs)")
                    }
                }
            }
        }
    }

    @Test(arguments: backends, [nil, 1, 9]) func `attention equals its definition`(
        backend: Backend, firstVisible: Int?
    ) throws {
        let compute = try Compute(precision: .f32, backend: backend, threads: 2)
        for (rows, keys, heads, groups, size) in [(1, 9, 4, 4, 8), (6, 14, 4, 2, 16), (17, 25, 6, 1, 6)] {
            let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
            let q = Rows(rows, heads * size, seed: 1)
            let (k, v) = (
                Rows(keys, groups * size, stride: groups * size + 2, seed: 2),
                Rows(keys, groups * size, stride: groups * size + 2, seed: 3)
            )
            let out = Rows(rows, heads * size, seed: 4)
            compute.attention(
                query: q.block, keys: k.block, values: v.block, shape: shape, firstVisible: firstVisible,
                into: out.block)
            for row in 0..<rows {
                let limit = min(keys, firstVisible.map { $0 + row } ?? keys)
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
        let (q, k, v) = (Rows(rows, 32, seed: 1), Rows(keys, 4, seed: 2), Rows(keys, 4, seed: 3))
        let (together, alone) = (Rows(rows, 32, seed: 4), Rows(1, 32, seed: 5))
        let first = keys - rows + 1
        compute.attention(
            query: q.block, keys: k.block, values: v.block, shape: shape, firstVisible: first, into: together.block)
        for row in [0, 51, 52, 53, 104, 119] {
            compute.attention(
                query: q.block.rows(row..<row + 1), keys: k.block, values: v.block, shape: shape,
                firstVisible: first + row, into: alone.block)
            for i in 0..<32 { #expect(abs(together[row, i] - alone[0, i]) < 1e-5, "row \(row)") }
        }
    }

    /// The best kernels of this CPU, and those of one without bf16: there products are widened.
    static let instructionSets = ["avx2", "portable"].filter(Kernels.available.contains).map(Optional.some) + [nil]

    func bf16(_ rows: Rows, _ compute: Compute, in scratch: Scratch) -> MatrixView {
        let narrow = scratch.block(.bf16, rows: rows.block.rows, columns: rows.block.columns)
        compute.convert(rows.block, into: narrow)
        return narrow
    }

    @Test(arguments: backends, instructionSets) func `bf16 stays within its rounding`(
        backend: Backend, instructionSet: String?
    ) throws {
        let compute = try Compute(precision: .bf16, backend: backend, threads: 2, instructionSet: instructionSet)
        let (scratch, narrowOut) = (Scratch(), Scratch())
        for (rows, inputs, outputs) in [(37, 256, 64), (2, 7, 5), (3, 8192, 300)] {
            let x = Rows(rows, inputs, seed: 1)
            let (weight, values) = try matrix(outputs, inputs, as: .bf16, seed: 2, compute)
            let bias = (0..<outputs).map { Float($0) / 100 }
            for (activation, accumulate, isWide) in [
                (Activation.none, false, true), (.none, true, true), (.gelu, false, true), (.gelu, false, false),
            ] {
                let out = Rows(rows, outputs, stride: outputs + 5, seed: 3)
                let before = (0..<rows).map { row in (0..<outputs).map { out[row, $0] } }
                let input = bf16(x, compute, in: scratch)
                let narrow = isWide ? nil : narrowOut.block(.bf16, rows: rows, columns: outputs)
                compute.linear(
                    input, weight, bias: bias, activation: activation, accumulate: accumulate, into: narrow ?? out.block
                )
                if let narrow { compute.convert(narrow, into: out.block) }
                withExtendedLifetime((scratch, narrowOut)) {}
                for row in 0..<rows {
                    for column in 0..<outputs {
                        let sum = (0..<inputs).reduce(Double(bias[column])) { $0 + x[row, $1] * values[column, $1] }
                        let expected = activate(sum, activation) + (accumulate ? before[row][column] : 0)
                        // Two factors rounded to 8 bits: 2⁻⁹ of a product's magnitude each, adding up like a random walk;
                        // and the result, where it is bf16.
                        let tolerance = 0.01 * Double(inputs).squareRoot() + (isWide ? 0 : abs(expected) / 256)
                        #expect(abs(out[row, column] - expected) < tolerance, "\(rows)×\(inputs)→\(outputs)")
                    }
                }
            }
        }
    }

    @Test(arguments: backends, instructionSets) func `attention in bf16 is that of f32 within its rounding`(
        backend: Backend, instructionSet: String?
    ) throws {
        let wide = try Compute(precision: .f32, backend: backend, threads: 2)
        let narrow = try Compute(precision: .bf16, backend: backend, threads: 2, instructionSet: instructionSet)
        for (rows, keys, heads, groups, size) in [(6, 14, 4, 2, 16), (17, 25, 6, 1, 6), (20, 300, 8, 2, 64)] {
            let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
            let q = Rows(rows, heads * size, seed: 1)
            let (k, v) = (Rows(keys, groups * size, seed: 2), Rows(keys, groups * size, seed: 3))
            let (expected, found) = (Rows(rows, heads * size, seed: 4), Rows(rows, heads * size, seed: 5))
            let first = keys - rows + 1
            wide.attention(
                query: q.block, keys: k.block, values: v.block, shape: shape, firstVisible: first, into: expected.block)
            let scratch = (0..<4).map { _ in Scratch() }
            let out = scratch[3].block(.bf16, rows: rows, columns: heads * size)
            narrow.attention(
                query: bf16(q, narrow, in: scratch[0]), keys: bf16(k, narrow, in: scratch[1]),
                values: bf16(v, narrow, in: scratch[2]), shape: shape, firstVisible: first, into: out)
            narrow.convert(out, into: found.block)
            withExtendedLifetime(scratch) {}
            for row in 0..<rows {
                for i in 0..<heads * size { #expect(abs(found[row, i] - expected[row, i]) < 0.02) }
            }
        }
    }

    @Test(arguments: backends, instructionSets) func `sequences attend as each does alone`(
        backend: Backend, instructionSet: String?
    ) throws {
        for type in DType.computeTypes {
            let compute = try Compute(precision: type, backend: backend, threads: 2, instructionSet: instructionSet)
            // More keys than are taken at a time.
            for (heads, groups, rows, keys, first) in [(4, 2, 5, 1030, 1026), (2, 2, 2, 3, 2), (6, 1, 3, 512, 1)] {
                let (sequences, size) = (3, 8)
                let shape = AttentionShape(heads: heads, keyValueHeads: groups, headSize: size)
                let scratch = (0..<5).map { _ in Scratch() }
                func block(_ place: Int, _ rows: Int, _ columns: Int) -> MatrixView {
                    let out = scratch[place].block(type, rows: rows, columns: columns)
                    let values = Rows(rows, columns, seed: place)
                    withExtendedLifetime(values) { compute.convert(values.block, into: out) }
                    return out
                }
                let (q, k) = (block(0, sequences * rows, heads * size), block(1, sequences * keys, groups * size))
                let (v, together) = (block(2, sequences * keys, groups * size), block(3, q.rows, q.columns))
                compute.attention(
                    sequences: sequences, query: q, keys: k, values: v, shape: shape, firstVisible: first,
                    into: together)
                let alone = block(4, rows, q.columns)
                let (found, expected) = (Rows(rows, q.columns, seed: 5), Rows(rows, q.columns, seed: 6))
                for sequence in 0..<sequences {
                    let (own, seen) = (sequence * rows..<(sequence + 1) * rows, sequence * keys..<(sequence + 1) * keys)
                    compute.attention(
                        query: q.rows(own), keys: k.rows(seen), values: v.rows(seen), shape: shape,
                        firstVisible: first, into: alone)
                    compute.convert(alone, into: expected.block)
                    compute.convert(together.rows(own), into: found.block)
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

    @Test(arguments: backends, instructionSets) func `many rows meet a bf16 weight as few do`(
        backend: Backend, instructionSet: String?
    ) throws {
        let compute = try Compute(precision: .bf16, backend: backend, threads: 2, instructionSet: instructionSet)
        // More weights than are widened at a time.
        let (rows, inputs, outputs) = (65, 8192, 600)
        let x = Rows(rows, inputs, seed: 1)
        let (weight, _) = try matrix(outputs, inputs, as: .bf16, seed: 2, compute)
        let narrow = Scratch()
        let input = bf16(x, compute, in: narrow)
        let (many, few) = (Rows(rows, outputs, seed: 3), Rows(rows, outputs, seed: 4))
        compute.linear(input, weight, into: many.block)
        compute.linear(input.rows(0..<40), weight, into: few.block.rows(0..<40))
        compute.linear(input.rows(40..<65), weight, into: few.block.rows(40..<65))
        for row in 0..<rows {
            // Sums of 8192 products of up to 1, in two orders: each step rounds by up to 6e-8 of some thousands.
            for i in 0..<outputs { #expect(abs(many[row, i] - few[row, i]) < 0.01, "row \(row)") }
        }
    }

    @Test func `work is split without gaps or overlaps`() {
        for threads in [1, 2, 3, 8] {
            let workers = ThreadPool(threadCount: threads)
            for count in [0, 1, 2, 7, 100] {
                let hits = Buffer<Int32>(count: max(count, 1))
                hits.pointer.update(repeating: 0, count: max(count, 1))
                workers.split(count) { range in for i in range { hits.pointer[i] += 1 } }
                #expect((0..<count).allSatisfy { hits.pointer[$0] == 1 })
            }
        }
    }

    @Test func `a setting that cannot be served is refused by name`() {
        #expect(throws: ComputeError.self) { try Compute(precision: .f32, threads: 1, instructionSet: "avx9000") }
    }
}
