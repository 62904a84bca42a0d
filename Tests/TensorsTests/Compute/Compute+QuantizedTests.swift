import Glibc
import Tensors
import Testing

/// Products with quantized weights, from stored tensors to results.
@Suite(.serialized) struct ComputeQuantizedTests {
    static let instructionSets = Kernels.available
    static let shapes = [(1, 64, 32), (1, 129, 45), (2, 33, 31), (9, 96, 70), (37, 256, 65)]

    /// Gaussian values: sums of twelve uniform ones.
    static func gaussians(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            var sum: Float = -6
            for _ in 0..<12 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                sum += Float(state >> 40) / Float(1 << 24)
            }
            return sum
        }
    }

    final class Bytes {
        let memory: UnsafeMutableRawBufferPointer

        /// A copy of `bytes`, `offset` bytes after an aligned address.
        init(_ bytes: UnsafeRawBufferPointer, offset: Int = 0) {
            memory = .allocate(byteCount: bytes.count + offset, alignment: 64)
            UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: bytes)
        }

        deinit { memory.deallocate() }
    }

    static func tensor<Element>(
        _ values: [Element], _ type: DType, _ shape: [Int], offset: Int = 0
    ) -> StoredTensor {
        let owner = values.withUnsafeBytes { Bytes($0, offset: offset) }
        return StoredTensor(
            name: "w", type: type, shape: shape,
            bytes: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(owner.memory)[offset...]), owner: owner)
    }

    /// A weight as a quantized folder stores it, and the values it stands for.
    struct Stored {
        let values: StoredTensor
        let scales: StoredTensor
        let minima: StoredTensor
        let floats: [Float]
    }

    /// Quantizes a weight.
    static func quantized(
        _ weight: [Float], rows: Int, columns: Int, _ format: WeightFormat, _ kernels: Kernels
    ) -> Stored {
        let quantizer = WeightQuantizer(format, columns: columns, kernels: kernels)
        var values = [UInt8](repeating: 0, count: rows * quantizer.valuesPerRow)
        var scales = [UInt8](repeating: 0, count: rows * quantizer.scaleBytes)
        var minima = [UInt16](repeating: 0, count: rows * quantizer.minimaPerRow)
        var floats = [Float](repeating: 0, count: weight.count)
        values.withUnsafeMutableBytes { values in
            scales.withUnsafeMutableBytes { scales in
                quantizer.quantize(
                    weight, count: rows, values: values.baseAddress!, scales: scales.baseAddress!, minima: &minima)
                quantizer.dequantize(
                    values.baseAddress!, scales: scales.baseAddress!, minima: minima, count: rows, into: &floats)
            }
        }
        let scaleShape = format == .int8 ? [rows] : [rows, quantizer.scalesPerRow]
        return Stored(
            values: tensor(values, quantizer.valueType, [rows, quantizer.valuesPerRow]),
            scales: tensor(scales, quantizer.scaleType, scaleShape),
            minima: tensor(minima, .bf16, [rows, quantizer.minimaPerRow]), floats: floats)
    }

    static func matrix(
        _ stored: Stored, columns: Int, _ format: WeightFormat, _ compute: Compute
    ) -> Matrix? {
        format.isInt8
            ? Matrix(int8: stored.values, scales: stored.scales, compute: compute)
            : Matrix(
                int4: stored.values, scales: stored.scales, minima: stored.minima, columns: columns, compute: compute)
    }

    /// The result of `linear` as f32 [rows, outputs].
    static func linear(
        _ x: [Float], rows: Int, _ weight: Matrix, bias: [Float]? = nil, activation: Activation = .none,
        addingTo start: [Float]? = nil, type: DType = .f32, _ compute: Compute
    ) -> [Float] {
        let (input, output, narrow) = (Scratch(), Scratch(), Scratch())
        let stride = weight.columns + 3
        let rowsOfX = input.matrix(.f32, rows: rows, columns: stride).columns(0..<weight.columns)
        for row in 0..<rows {
            for column in 0..<weight.columns {
                rowsOfX.floats[row * stride + column] = x[row * weight.columns + column]
            }
        }
        let out = output.matrix(.f32, rows: rows, columns: weight.rows)
        for (index, value) in (start ?? []).enumerated() { out.floats[index] = value }
        if type == .bf16 {
            let narrowInput = Scratch()
            let half = narrowInput.matrix(.bf16, rows: rows, columns: weight.columns)
            let result = narrow.matrix(.bf16, rows: rows, columns: weight.rows)
            compute.convert(rowsOfX, into: half)
            compute.linear(half, weight, bias: bias, activation: activation, into: result)
            compute.convert(result, into: out)
            withExtendedLifetime(narrowInput) {}
        } else {
            compute.linear(
                rowsOfX, weight, bias: bias, activation: activation, accumulate: start != nil, into: out)
        }
        return withExtendedLifetime((input, output, narrow)) {
            Array(UnsafeBufferPointer(start: out.floats, count: rows * weight.rows))
        }
    }

    /// The definition, in double precision: activations rounded to 127 steps of the largest magnitude of their row, or
    /// of each group.
    static func expected(
        _ x: [Float], rows: Int, _ weight: [Float], columns: Int, bias: [Float]? = nil, _ format: WeightFormat
    ) -> [Double] {
        let outputs = weight.count / columns
        var result: [Double] = []
        for row in 0..<rows {
            let length = format.group ?? columns
            let rounded = stride(from: 0, to: columns, by: length).flatMap { first -> [Double] in
                let values = x[row * columns + first..<row * columns + min(first + length, columns)]
                let step = Double(values.reduce(Float(0)) { max($0, abs($1)) }) / 127
                return values.map { (Double($0) / step).rounded(.toNearestOrEven) * step }
            }
            for output in 0..<outputs {
                var sum = Double(bias?[output] ?? 0)
                for i in 0..<columns { sum += rounded[i] * Double(weight[output * columns + i]) }
                result.append(sum)
            }
        }
        return result
    }

    static func cosine(_ a: [Float], _ b: [Double]) -> Double {
        var (dot, left, right) = (0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            dot += Double(x) * y
            left += Double(x) * Double(x)
            right += y * y
        }
        return dot / (left * right).squareRoot()
    }

    @Test(arguments: instructionSets, WeightFormat.allCases)
    func `a quantized linear layer equals its definition`(instructionSet: String, format: WeightFormat) throws {
        let compute = try Compute(precision: .f32, threads: 2, instructionSet: instructionSet)
        for (rows, columns, outputs) in Self.shapes {
            let x = Self.gaussians(rows * columns, seed: 1)
            let bias = Self.gaussians(outputs, seed: 3)
            let stored = Self.quantized(
                Self.gaussians(outputs * columns, seed: 2), rows: outputs, columns: columns, format, compute.kernels)
            let matrix = try #require(Self.matrix(stored, columns: columns, format, compute))
            #expect(matrix.rows == outputs && matrix.columns == columns && matrix.quantizedFormat == format)
            let expected = Self.expected(x, rows: rows, stored.floats, columns: columns, bias: bias, format)
            let start = Self.gaussians(rows * outputs, seed: 4)
            // One step of rounding is 3/127; a tie may go the other way in f32, which moves a result by step · weight.
            let tolerance = 0.05
            let plain = Self.linear(x, rows: rows, matrix, bias: bias, compute)
            let added = Self.linear(x, rows: rows, matrix, bias: bias, addingTo: start, compute)
            let activated = Self.linear(x, rows: rows, matrix, bias: bias, activation: .quickGELU, compute)
            let narrow = Self.linear(x, rows: rows, matrix, bias: bias, type: .bf16, compute)
            for index in expected.indices {
                let value = expected[index]
                #expect(abs(Double(plain[index]) - value) < tolerance)
                #expect(abs(Double(added[index] - start[index]) - value) < tolerance)
                #expect(abs(Double(activated[index]) - value / (1 + exp(-1.702 * value))) < 1.2 * tolerance)
                // bf16 rounds the operand and the result to 8 bits.
                #expect(abs(Double(narrow[index]) - value) < 0.03 * Double(columns).squareRoot() + abs(value) / 256)
            }
        }
    }

    @Test(arguments: WeightFormat.allCases)
    func `every instruction set, number of threads and of rows has the same bits`(format: WeightFormat) throws {
        let (rows, columns, outputs) = (41, 1100, 2085)
        let x = Self.gaussians(rows * columns, seed: 1)
        let weight = Self.gaussians(outputs * columns, seed: 2)
        var first: [Float]?
        for (instructionSet, threads) in Self.instructionSets.flatMap({ [($0, 1), ($0, 2), ($0, 3)] }) {
            let compute = try Compute(precision: .f32, threads: threads, instructionSet: instructionSet)
            let matrix = try #require(
                Matrix(Self.tensor(weight, .f32, [outputs, columns]), quantizedAs: format, compute: compute))
            let together = Self.linear(x, rows: rows, matrix, compute)
            #expect(together == first ?? together, "\(instructionSet), \(threads) threads")
            first = together
            guard threads == 2 else { continue }
            for count in [1, 2, 5, 8] {
                for row in stride(from: 0, to: rows - count, by: 9) {
                    let part = Self.linear(
                        Array(x[row * columns..<(row + count) * columns]), rows: count, matrix, compute)
                    #expect(part == Array(together[row * outputs..<(row + count) * outputs]), "\(count) from \(row)")
                }
            }
        }
    }

    @Test(arguments: instructionSets)
    func `products that share their input have the bits that they have alone`(instructionSet: String) throws {
        let compute = try Compute(precision: .f32, threads: 2, instructionSet: instructionSet)
        let (rows, columns) = (9, 100)
        let weights = try [(WeightFormat.int8, 40), (.int8, 33), (.int4, 64), (.int8Groups, 20), (.int8, 7)]
            .enumerated().map {
                let stored = Self.quantized(
                    Self.gaussians($1.1 * columns, seed: UInt64($0)), rows: $1.1, columns: columns, $1.0,
                    compute.kernels)
                return try #require(Self.matrix(stored, columns: columns, $1.0, compute))
            }
        let memory = (Scratch(), Scratch(), Scratch())
        let x = memory.0.matrix(.f32, rows: rows, columns: columns)
        let other = memory.1.matrix(.f32, rows: rows, columns: columns)
        func product(_ x: MatrixView, _ weight: Matrix) -> [Float] {
            let out = memory.2.matrix(.f32, rows: x.rows, columns: weight.rows)
            compute.linear(x, weight, into: out)
            return Array(UnsafeBufferPointer(start: out.floats, count: x.rows * weight.rows))
        }
        for seed in 1...2 {
            // The second time other values are in the same memory.
            for (index, value) in Self.gaussians(rows * columns, seed: UInt64(seed)).enumerated() {
                x.floats[index] = value
                other.floats[index] = -3 * value
            }
            let alone = weights.map { product(x, $0) }
            let (others, few) = (product(other, weights[0]), product(x.rows(0..<4), weights[0]))
            compute.sharingInput(x) {
                for (weight, expected) in zip(weights, alone) { #expect(product(x, weight) == expected) }
                #expect(product(x.rows(0..<4), weights[0]) == few)
                #expect(product(x, weights[0]) == alone[0])
                #expect(product(other, weights[0]) == others)
                #expect(product(x, weights[1]) == alone[1])
            }
        }
        withExtendedLifetime(memory) {}
    }

    @Test(arguments: WeightFormat.allCases)
    func `quantizing while loading equals a quantized folder`(format: WeightFormat) throws {
        let compute = try Compute(precision: .f32, threads: 2)
        let (rows, columns) = (77, 131)
        let x = Self.gaussians(2 * columns, seed: 1)
        let weight = Self.gaussians(rows * columns, seed: 2)
        let f16 = weight.map { Float16($0).bitPattern }
        let bf16 = weight.map { UInt16($0.bitPattern >> 16) }
        let sources = [
            (Self.tensor(weight, .f32, [rows, columns]), weight),
            // A safetensors header of odd length shifts the elements.
            (Self.tensor(weight, .f32, [rows, columns], offset: 1), weight),
            (Self.tensor(f16, .f16, [rows, columns], offset: 1), f16.map { Float(Float16(bitPattern: $0)) }),
            (Self.tensor(bf16, .bf16, [rows, 1, columns]), bf16.map { Float(bitPattern: UInt32($0) << 16) }),
        ]
        for (tensor, values) in sources {
            let loaded = try #require(Matrix(tensor, quantizedAs: format, compute: compute))
            let stored = Self.quantized(values, rows: rows, columns: columns, format, compute.kernels)
            let read = try #require(Self.matrix(stored, columns: columns, format, compute))
            let result = Self.linear(x, rows: 2, loaded, compute)
            #expect(result == Self.linear(x, rows: 2, read, compute), "\(tensor.type)")
            for matrix in [loaded, read] {
                for range in [0..<32, 5..<77, 40..<41] {
                    let part = Self.linear(x, rows: 2, matrix.slice(rows: range), compute)
                    let second = rows + range.lowerBound..<rows + range.upperBound
                    #expect(part == Array(result[range]) + Array(result[second]))
                }
            }
        }
    }

    @Test func `quantized gaussians keep their direction`() throws {
        let compute = try Compute(precision: .f32, threads: 2)
        let (rows, columns, outputs) = (5, 1024, 512)
        let x = Self.gaussians(rows * columns, seed: 1)
        let weight = Self.gaussians(outputs * columns, seed: 2)
        var exact: [Double] = []
        for row in 0..<rows {
            for output in 0..<outputs {
                var sum = 0.0
                for i in 0..<columns { sum += Double(x[row * columns + i]) * Double(weight[output * columns + i]) }
                exact.append(sum)
            }
        }
        // A step's rounding error is 1/√12 steps. int8: steps of about 3.4/127 on both sides, 0.011 of the norm in all.
        // int4: steps of about 3.9/16, 0.071 of the norm.
        for (format, least) in [(WeightFormat.int8, 0.9998), (.int8Groups, 0.9999), (.int4, 0.997)] {
            let matrix = try #require(
                Matrix(Self.tensor(weight, .f32, [outputs, columns]), quantizedAs: format, compute: compute))
            let cosine = Self.cosine(Self.linear(x, rows: rows, matrix, compute), exact)
            print("cosine of \(format) with f32 for gaussians: \(cosine)")
            #expect(cosine > least)
        }
    }

    @Test(arguments: instructionSets)
    func `one large input leaves the others their precision if inputs have groups`(instructionSet: String) throws {
        let compute = try Compute(precision: .f32, threads: 2, instructionSet: instructionSet)
        let (rows, columns, outputs) = (3, 640, 64)
        var x = Self.gaussians(rows * columns, seed: 1)
        // The weights of the large input are small, so that the others make up most of the result.
        var weight = Self.gaussians(outputs * columns, seed: 2)
        for row in 0..<rows { x[row * columns + 70] = 500 }
        for output in 0..<outputs { weight[output * columns + 70] *= 0.001 }
        func deviation(groupsInputs: Bool) throws -> Double {
            let matrix = try #require(
                Matrix(
                    Self.tensor(weight, .f32, [outputs, columns]), quantizedAs: .int8, groupsInputs: groupsInputs,
                    compute: compute))
            let result = Self.linear(x, rows: rows, matrix, compute)
            var (errors, squares) = (0.0, 0.0)
            for row in 0..<rows {
                for output in 0..<outputs {
                    let exact = (0..<columns).reduce(0.0) {
                        $0 + Double(x[row * columns + $1]) * Double(weight[output * columns + $1])
                    }
                    let error = Double(result[row * outputs + output]) - exact
                    errors += error * error
                    squares += exact * exact
                }
            }
            return (errors / squares).squareRoot()
        }
        // A step of 500/127 = 4 standard deviations rounds all others to 0; in groups only 63 of 639 are.
        let (whole, grouped) = (try deviation(groupsInputs: false), try deviation(groupsInputs: true))
        #expect(whole > 0.8 && grouped < 0.4, "\(whole), \(grouped)")
    }

    @Test(arguments: instructionSets) func `a grid with a minimum is recovered exactly`(instructionSet: String) throws {
        let kernels = try #require(Kernels(named: instructionSet))
        // Levels 0 to `most` of a step, from a minimum on, both as bf16 has them; the last group has 6 columns.
        let columns = 70
        for most in 13...15 {
            for (step, minimum) in [(Float(0.01171875), Float(-0.0703125)), (3, 100), (0.5, -7.5), (1, -0.25)] {
                var weight: [Float] = []
                for row in 0..<5 {
                    let levels = (0..<columns).map { $0 % 32 == 0 ? 0 : $0 % 32 == 1 ? most : ($0 * (row + 3)) % most }
                    weight += levels.map { Float($0) * step + minimum }
                }
                let stored = Self.quantized(weight, rows: 5, columns: columns, .int4, kernels)
                #expect(stored.floats == weight, "\(most), \(step), \(minimum)")
            }
        }
        // A group of one value: its minimum.
        let flat = Self.quantized([Float](repeating: -0.375, count: 40), rows: 1, columns: 40, .int4, kernels)
        #expect(flat.floats.allSatisfy { $0 == -0.375 })
    }

    @Test func `a minimum far from zero costs no steps`() throws {
        let kernels = try #require(Kernels())
        let weight = Self.gaussians(64 * 512, seed: 5)
        func error(_ shift: Float) -> Double {
            let shifted = weight.map { $0 + shift }
            let stored = Self.quantized(shifted, rows: 64, columns: 512, .int4, kernels)
            let errors = zip(stored.floats, shifted).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            return (errors / Double(weight.count)).squareRoot()
        }
        // The least squared error of 16 levels for 32 Gaussian values is about 0.07; bf16 rounds a minimum of -8 to 1/32.
        #expect(error(0) < 0.0715 && error(-5) < 0.0745 && error(5) < 0.0745)
    }

    @Test func `tensors that are not quantized weights are refused`() throws {
        let compute = try Compute(precision: .f32, threads: 1)
        let bytes = [Int8](repeating: 1, count: 64)
        let scales = [Float](repeating: 1, count: 4)
        let halves = [UInt16](repeating: 0x3f80, count: 4)
        let values = Self.tensor(bytes, .i8, [4, 16])
        let packed = Self.tensor(bytes, .u8, [4, 16])
        #expect(Matrix(values, quantizedAs: .int8, compute: compute) == nil)
        #expect(Matrix(Self.tensor(scales, .f32, [4]), quantizedAs: .int8, compute: compute) == nil)
        #expect(Matrix(int8: values, scales: Self.tensor(scales, .f32, [3]), compute: compute) == nil)
        #expect(Matrix(int8: values, scales: Self.tensor(halves, .bf16, [4]), compute: compute) == nil)
        #expect(Matrix(int8: packed, scales: Self.tensor(scales, .f32, [4]), compute: compute) == nil)
        #expect(Matrix(int8: values, scales: Self.tensor(scales, .f32, [4]), compute: compute) != nil)
        let groups = Self.tensor(halves, .bf16, [4, 1])
        func int4(_ values: StoredTensor, _ scales: StoredTensor, _ minima: StoredTensor, columns: Int? = nil) -> Bool {
            Matrix(int4: values, scales: scales, minima: minima, columns: columns, compute: compute) != nil
        }
        #expect(int4(packed, groups, groups) && int4(packed, groups, groups, columns: 31))
        #expect(!int4(packed, groups, groups, columns: 30))
        #expect(!int4(packed, Self.tensor(halves, .bf16, [2, 1]), groups))
        #expect(!int4(packed, groups, Self.tensor(halves, .bf16, [2, 1])))
        #expect(!int4(packed, groups, Self.tensor(scales, .f32, [4, 1])))
        #expect(!int4(values, groups, groups))
    }
}
