import Glibc
import Tensors
import Testing

/// Products of both libraries against plain double-precision loops.
@Suite(.serialized) struct ComputeTests {
    static var backends: [Backend] { Backend.hasOneDNN ? [.oneDNN, .openBLAS] : [.openBLAS] }

    /// A matrix with memory of its own, filled with deterministic values; `stride` leaves a gap after each row.
    final class Rows {
        let buffer: Buffer<Float>
        let view: MatrixView

        init(_ rows: Int, _ columns: Int, stride: Int? = nil, seed: Int) {
            let step = stride ?? columns
            buffer = Buffer(count: rows * step)
            for i in 0..<rows * step { buffer.pointer[i] = Float((i &* 7919 &+ seed &* 104729) % 2003) / 1001 - 1 }
            view = MatrixView(
                UnsafeMutableRawPointer(buffer.pointer), type: .f32, rows: rows, columns: columns, stride: step)
        }

        subscript(row: Int, column: Int) -> Double { Double(buffer.pointer[row * view.stride + column]) }
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
                    x.view, weight, bias: bias, activation: activation, accumulate: accumulate, into: out.view)
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

    /// The best kernels of this CPU, and those of one without bf16: there products are upcast.
    static let instructionSets = ["avx2", "portable"].filter(Kernels.available.contains).map(Optional.some) + [nil]

    static func bf16(_ rows: Rows, _ compute: Compute, in scratch: Scratch) -> MatrixView {
        let narrow = scratch.matrix(.bf16, rows: rows.view.rows, columns: rows.view.columns)
        compute.convert(rows.view, into: narrow)
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
                let input = Self.bf16(x, compute, in: scratch)
                let narrow = isWide ? nil : narrowOut.matrix(.bf16, rows: rows, columns: outputs)
                compute.linear(
                    input, weight, bias: bias, activation: activation, accumulate: accumulate, into: narrow ?? out.view
                )
                if let narrow { compute.convert(narrow, into: out.view) }
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

    @Test(arguments: backends, instructionSets) func `many rows meet a bf16 weight as few do`(
        backend: Backend, instructionSet: String?
    ) throws {
        let compute = try Compute(precision: .bf16, backend: backend, threads: 2, instructionSet: instructionSet)
        // More weights than are upcast at a time.
        let (rows, inputs, outputs) = (65, 8192, 600)
        let x = Rows(rows, inputs, seed: 1)
        let (weight, _) = try matrix(outputs, inputs, as: .bf16, seed: 2, compute)
        let narrow = Scratch()
        let input = Self.bf16(x, compute, in: narrow)
        let (many, few) = (Rows(rows, outputs, seed: 3), Rows(rows, outputs, seed: 4))
        compute.linear(input, weight, into: many.view)
        compute.linear(input.rows(0..<40), weight, into: few.view.rows(0..<40))
        compute.linear(input.rows(40..<65), weight, into: few.view.rows(40..<65))
        for row in 0..<rows {
            // Sums of 8192 products of up to 1, in two orders: each step rounds by up to 6e-8 of some thousands.
            for i in 0..<outputs { #expect(abs(many[row, i] - few[row, i]) < 0.01, "row \(row)") }
        }
    }

    @Test func `a setting that cannot be served is refused by name`() {
        #expect(throws: ComputeError.self) { try Compute(precision: .f32, threads: 1, instructionSet: "avx9000") }
    }
}
