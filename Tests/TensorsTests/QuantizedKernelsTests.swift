import CKernels
import Testing

/// The kernels of quantized weights: every table this CPU runs has the reference's bits, not only its values.
struct QuantizedKernelsTests {
    static let panel = Int(LT_PANEL)
    static let group = Int(LT_GROUP)

    /// Quantized weights [outputs, inputs], as stored.
    struct Stored {
        var values: [UInt8]
        var scales: [UInt8]
        var minima: [UInt16] = []
    }

    /// All that a product needs, packed and quantized by one table.
    struct Operands: Equatable {
        var panels: [UInt8] = []
        var scales: [UInt8] = []
        var x: [Int16] = []
        var xScales: [UInt32] = []
        var xSums: [Int32] = []
    }

    /// What has a scale of its own.
    enum Kind: CaseIterable {
        /// int8: a row of weights, and one of activations.
        case rows
        /// int8: a row of weights, and a group of activations.
        case inputGroups
        /// int8: a group of weights, and one of activations.
        case groups
        /// int4: a group of weights, and one of activations.
        case int4
    }

    /// A product of [rows, inputs] and [outputs, inputs].
    struct Shape {
        let rows: Int, outputs: Int, inputs: Int, kind: Kind

        var isInt4: Bool { kind == .int4 }
        var group: Int { isInt4 ? QuantizedKernelsTests.group : Int(LT_INPUT_GROUP) }
        var panelCount: Int { (outputs + panel - 1) / panel }
        var groups: Int { (inputs + group - 1) / group }
        var depth: Int { isInt4 ? groups * group : (inputs + 3) / 4 * 4 }
        var rowBytes: Int { isInt4 ? (inputs + 1) / 2 : inputs }
        var scaleBytes: Int { isInt4 ? groups * 2 : kind == .groups ? groups * 4 : 4 }
        /// Scales and, in int4, minima of a packed output.
        var packedScaleBytes: Int { isInt4 ? groups * 4 : scaleBytes }
        var sumsPerRow: Int { kind == .rows ? 1 : groups }
        /// Longer than the rows, so that a kernel that ignores it fails.
        var stride: Int { (kind == .rows ? depth : groups * group) + 5 }
    }

    static let shapes = [
        (1, 1, 1), (1, 5, 3), (3, 33, 7), (5, 31, 64), (13, 64, 97), (2, 96, 1021), (30, 70, 33), (245, 40, 517),
        (4, 32, 4103), (1, 100, 9000), (7, 65, 32), (8, 32, 2052), (12, 33, 36), (25, 32, 260), (13, 230, 4000),
        (61, 33, 1100),
    ].flatMap { (rows, outputs, inputs) in
        Kind.allCases.map { Shape(rows: rows, outputs: outputs, inputs: inputs, kind: $0) }
    }

    func stored(_ shape: Shape, _ weight: [Float], _ table: lt_kernels) -> Stored {
        var result = Stored(
            values: [UInt8](repeating: 0, count: shape.outputs * shape.rowBytes),
            scales: [UInt8](repeating: 0, count: shape.outputs * shape.scaleBytes),
            minima: [UInt16](repeating: 0, count: shape.isInt4 ? shape.outputs * shape.groups : 0))
        var minima = result.minima
        result.values.withUnsafeMutableBytes { values in
            result.scales.withUnsafeMutableBytes { scales in
                if shape.isInt4 {
                    table.quantize_int4(
                        weight, shape.outputs, shape.inputs, values.assumingMemoryBound(to: UInt8.self).baseAddress,
                        scales.assumingMemoryBound(to: UInt16.self).baseAddress, &minima)
                } else {
                    let values = values.assumingMemoryBound(to: Int8.self).baseAddress!
                    let scales = scales.assumingMemoryBound(to: Float.self).baseAddress!
                    let length = shape.kind == .groups ? shape.group : shape.inputs
                    let perRow = shape.scaleBytes / 4
                    weight.withUnsafeBufferPointer { weight in
                        for index in 0..<shape.outputs * perRow {
                            let first = index % perRow * length
                            let at = index / perRow * shape.inputs + first
                            table.quantize_int8(
                                weight.baseAddress! + at, 1, min(length, shape.inputs - first), values + at,
                                scales + index)
                        }
                    }
                }
            }
        }
        result.minima = minima
        return result
    }

    /// Packs the weights and quantizes `x` to elements of `operandSize` bytes, returned as 16 bits each.
    func operands(
        _ shape: Shape, _ stored: Stored, _ x: [Float], _ table: lt_kernels, operandSize: Int
    ) -> Operands {
        let panelBytes = Self.panel * (shape.isInt4 ? shape.depth / 2 : shape.depth)
        let panelScaleBytes = Self.panel * shape.packedScaleBytes
        var result = Operands()
        result.panels = [UInt8](repeating: 0, count: shape.panelCount * panelBytes)
        result.scales = [UInt8](repeating: 0, count: shape.panelCount * panelScaleBytes)
        for index in 0..<shape.panelCount {
            let first = index * Self.panel
            let count = min(Self.panel, shape.outputs - first)
            stored.values.withUnsafeBytes { values in
                result.panels.withUnsafeMutableBytes { panels in
                    let source = values.baseAddress! + first * shape.rowBytes
                    let target = (panels.baseAddress! + index * panelBytes).assumingMemoryBound(to: UInt8.self)
                    if shape.isInt4 {
                        table.pack_int4(
                            source.assumingMemoryBound(to: UInt8.self), shape.rowBytes, count, shape.inputs, target)
                    } else {
                        table.pack_int8(
                            source.assumingMemoryBound(to: Int8.self), shape.rowBytes, count, shape.inputs, target)
                    }
                }
            }
            let size = shape.isInt4 ? 2 : 4
            for output in 0..<count {
                for scale in 0..<shape.scaleBytes / size {
                    let source = (first + output) * shape.scaleBytes + scale * size
                    // In int4 the scales and minima of a group alternate.
                    let row = shape.isInt4 ? 2 * scale : scale
                    let target = index * panelScaleBytes + (row * Self.panel + output) * size
                    for byte in 0..<size { result.scales[target + byte] = stored.scales[source + byte] }
                    guard shape.isInt4 else { continue }
                    let minimum = stored.minima[(first + output) * shape.groups + scale]
                    result.scales[target + Self.panel * size] = UInt8(minimum & 255)
                    result.scales[target + Self.panel * size + 1] = UInt8(minimum >> 8)
                }
            }
        }
        var bytes = [UInt8](repeating: 0, count: shape.rows * shape.stride * operandSize)
        var scales = [Float](repeating: 0, count: shape.rows * shape.sumsPerRow)
        result.xSums = [Int32](repeating: 7, count: shape.rows * shape.sumsPerRow)
        bytes.withUnsafeMutableBytes {
            table.quantize_activations(
                x, LT_F32, shape.inputs, shape.rows, shape.inputs, shape.kind == .rows ? 0 : shape.group, operandSize,
                $0.baseAddress, shape.stride, &scales, &result.xSums)
        }
        result.xScales = scales.map(\.bitPattern)
        result.x = bytes.withUnsafeBytes { raw in
            operandSize == 1
                ? raw.bindMemory(to: Int8.self).map { Int16($0) } : Array(raw.bindMemory(to: Int16.self))
        }
        return result
    }

    func product(
        _ shape: Shape, _ operands: Operands, _ table: lt_kernels, bias: [Float]? = nil,
        activation: lt_activation = LT_ACT_NONE, into out: inout [Float]
    ) {
        let isWide = !shape.isInt4 && table.int8_operand_size == 2
        let narrow = operands.x.map { Int8(truncatingIfNeeded: $0) }
        let scales = operands.xScales.map { Float(bitPattern: $0) }
        narrow.withUnsafeBytes { narrow in
            operands.x.withUnsafeBytes { wide in
                operands.panels.withUnsafeBytes { panels in
                    operands.scales.withUnsafeBytes { panelScales in
                        (bias ?? []).withUnsafeBufferPointer { biases in
                            out.withUnsafeMutableBytes { out in
                                var p = lt_quantized_gemm()
                                p.weight = panels.baseAddress
                                p.weight_scales = panelScales.baseAddress
                                p.x = isWide ? wide.baseAddress : narrow.baseAddress
                                p.x_stride = shape.stride
                                scales.withUnsafeBufferPointer { scales in
                                    operands.xSums.withUnsafeBufferPointer { sums in
                                        p.x_scales = scales.baseAddress
                                        p.x_sums = sums.baseAddress
                                        (p.rows, p.inputs, p.outputs) = (shape.rows, shape.inputs, shape.outputs)
                                        p.x_groups = shape.kind == .rows ? 0 : 1
                                        p.weight_groups = shape.kind == .groups ? 1 : 0
                                        p.bias = bias == nil ? nil : biases.baseAddress
                                        p.activation = activation
                                        p.accumulate = activation == LT_ACT_NONE ? 1 : 0
                                        p.out = out.baseAddress
                                        p.out_type = LT_F32
                                        p.out_stride = shape.outputs + 3
                                        let run = shape.isInt4 ? table.gemm_int4 : table.gemm_int8
                                        // In two calls, as two threads would.
                                        run?(&p, 0, shape.panelCount / 2)
                                        run?(&p, shape.panelCount / 2, shape.panelCount - shape.panelCount / 2)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    func table(_ name: String) throws -> lt_kernels { try KernelsTests().table(name) }
    func values(_ count: Int, seed: UInt64) -> [Float] { KernelsTests().values(count, seed: seed) }

    @Test(arguments: KernelsTests.names) func `quantized products have the reference's bits`(name: String) throws {
        let (tested, reference) = (try table(name), lt_kernels_reference)
        for shape in Self.shapes {
            let weight = values(shape.outputs * shape.inputs, seed: 3)
            let x = values(shape.rows * shape.inputs, seed: 4)
            let bias = values(shape.outputs, seed: 5)
            let label = "\(shape)"
            let weights = stored(shape, weight, reference)
            let own = stored(shape, weight, tested)
            #expect(own.values == weights.values && own.scales == weights.scales, "\(label)")
            #expect(own.minima == weights.minima, "\(label)")
            for size in [1, 2] {
                let operands = operands(shape, weights, x, reference, operandSize: size)
                #expect(self.operands(shape, weights, x, tested, operandSize: size) == operands, "\(label)")
                for activation in [LT_ACT_NONE, LT_ACT_GELU_ERF] {
                    // The gap after each row must stay as it was.
                    var (a, b) = (
                        values(shape.rows * (shape.outputs + 3), seed: 8),
                        values(shape.rows * (shape.outputs + 3), seed: 8)
                    )
                    product(shape, operands, tested, bias: bias, activation: activation, into: &a)
                    product(shape, operands, reference, bias: bias, activation: activation, into: &b)
                    if activation == LT_ACT_NONE {
                        #expect(a == b, "\(label)")
                    } else {
                        #expect(KernelsTests().deviation(a, b) < 1e-6, "\(label)")
                    }
                }
            }
        }
    }

    /// Sums of the largest magnitudes, where 16-bit sums of unsigned by signed bytes (vpmaddubsw) would saturate.
    @Test(arguments: KernelsTests.names) func `extreme values do not saturate`(name: String) throws {
        let tested = try table(name)
        for (rows, outputs, inputs) in [(1, 33, 4099), (5, 64, 65_536), (13, 32, 777), (30, 40, 96), (66, 40, 96)] {
            for kind in Kind.allCases {
                let shape = Shape(rows: rows, outputs: outputs, inputs: inputs, kind: kind)
                let isInt4 = shape.isInt4
                // Rows of the least and the largest weights, with scale 1 and, in int4, minimum -8; the sums are exact in
                // f32 up to 2²⁴.
                let levels = isInt4 ? [-8, 7] : [-128, 127, -127]
                let one: [UInt8] = isInt4 ? [0x80, 0x3f] : [0, 0, 0x80, 0x3f]
                var weights = Stored(values: [], scales: [])
                for output in 0..<outputs {
                    let level = levels[output % levels.count]
                    let byte = isInt4 ? UInt8((level + 8) * 17) : UInt8(bitPattern: Int8(level))
                    weights.values += [UInt8](repeating: byte, count: shape.rowBytes)
                    for _ in 0..<shape.scaleBytes / one.count { weights.scales += one }
                    if isInt4 { weights.minima += [UInt16](repeating: 0xc100, count: shape.groups) }
                }
                // 127, −127 and both by turns; scale 1 where the largest magnitude is 127.
                let signs: [(Int) -> Float] = [{ _ in 127 }, { _ in -127 }, { $0 % 2 == 0 ? 127 : -127 }]
                let x = (0..<rows * inputs).map { signs[$0 / inputs % 3]($0 % inputs) }
                let operands = operands(
                    shape, weights, x, tested, operandSize: isInt4 ? 1 : Int(tested.int8_operand_size))
                var out = [Float](repeating: 0, count: rows * (outputs + 3))
                product(shape, operands, tested, into: &out)
                for row in 0..<rows {
                    let total = (0..<inputs).reduce(0) { $0 + Int(signs[row % 3]($1)) }
                    for output in 0..<outputs {
                        let expected = Float(total * levels[output % levels.count])
                        let actual = out[row * (outputs + 3) + output]
                        // Groups are added in f32: each of 4096 sums rounds by up to 2⁻²⁴ of the total and, in int4, of a
                        // group's products, at most 15 · 127 · 32.
                        let tolerance =
                            switch kind {
                            case .rows: Float(0)
                            case .inputGroups, .groups: abs(expected) * 2048 * 6e-8
                            case .int4: (abs(expected) + 60_960) * 4096 * 6e-8
                            }
                        #expect(abs(actual - expected) <= tolerance, "\(shape), row \(row), output \(output)")
                    }
                }
            }
        }
    }

    @Test(arguments: KernelsTests.names) func `zeros, tiny and not finite rows are quantized as documented`(
        name: String
    ) throws {
        let tested = try table(name)
        let n = 41
        var rows = [[Float]](repeating: (0..<n).map { Float($0) - 20 }, count: 5)
        rows[0] = [Float](repeating: 0, count: n)
        rows[1] = [Float](repeating: 1e-38, count: n)
        rows[2][7] = .infinity
        rows[3][7] = .nan
        var q = [Int8](repeating: 99, count: 5 * n)
        var scales = [Float](repeating: 99, count: 5)
        tested.quantize_int8(rows.flatMap { $0 }, 5, n, &q, &scales)
        #expect(q[..<(2 * n)].allSatisfy { $0 == 0 } && scales[0] == 0 && scales[1] == 0)
        #expect(scales[2] == .infinity && scales[3].isNaN && scales[4] == Float(20) / 127)
        var nibbles = [UInt8](repeating: 0, count: 5 * 21)
        var groupScales = [UInt16](repeating: 99, count: 5 * 2)
        var groupMinima = [UInt16](repeating: 99, count: 5 * 2)
        tested.quantize_int4(rows.flatMap { $0 }, 5, n, &nibbles, &groupScales, &groupMinima)
        let floats = groupScales.map { Float(bitPattern: UInt32($0) << 16) }
        let minima = groupMinima.map { Float(bitPattern: UInt32($0) << 16) }
        #expect(floats[..<4].allSatisfy { $0 == 0 } && floats[4].isNaN && floats[6].isNaN)
        #expect(floats[5...].enumerated().allSatisfy { $0 == 1 || $1.isFinite })
        #expect(minima[..<4].allSatisfy { $0 == 0 } && minima[8...].allSatisfy { $0.isFinite && $0 != 0 })
        #expect(nibbles[..<42].allSatisfy { $0 == 0 })
        #expect((0..<5).allSatisfy { nibbles[$0 * 21 + 20] >> 4 == 0 }, "the half after the last column is 0")
        // One value: no step. A range that f32 does not have: NaN.
        let flat = [Float](repeating: -0.3, count: 32)
        let wide = (0..<32).map { $0 % 2 == 0 ? Float.greatestFiniteMagnitude : -Float.greatestFiniteMagnitude }
        tested.quantize_int4(flat + wide, 2, 32, &nibbles, &groupScales, &groupMinima)
        #expect(groupScales[0] == 0 && Float(bitPattern: UInt32(groupMinima[0]) << 16) == -0.30078125)
        #expect(Float(bitPattern: UInt32(groupScales[1]) << 16).isNaN)
    }

    @Test(arguments: KernelsTests.names) func `bf16 activations and results are those of f32, rounded`(
        name: String
    ) throws {
        let tested = try table(name)
        let n = 300
        var halves = [UInt16](repeating: 0, count: 3 * n)
        tested.f32_to_bf16(values(3 * n, seed: 9), &halves, 3 * n)
        let floats = halves.map { Float(bitPattern: UInt32($0) << 16) }
        for (group, size) in [(0, 1), (0, 2), (Self.group, 1)] {
            let depth = group == 0 ? n : 320
            let sums = group == 0 ? 1 : depth / group
            var results: [([Int16], [Float], [Int32])] = []
            for type in [LT_F32, LT_BF16] {
                var (q, scales, sum) = (
                    [Int16](repeating: 0, count: 3 * depth), [Float](repeating: 0, count: 3 * sums),
                    [Int32](repeating: 0, count: 3 * sums)
                )
                floats.withUnsafeBytes { floats in
                    halves.withUnsafeBytes { halves in
                        tested.quantize_activations(
                            type == LT_F32 ? floats.baseAddress : halves.baseAddress, type, n, 3, n, group, size, &q,
                            depth, &scales, &sum)
                    }
                }
                results.append((q, scales, sum))
            }
            #expect(results[0] == results[1])
        }
    }
}
