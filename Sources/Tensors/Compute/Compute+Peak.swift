internal import CKernels

extension Compute {
    /// Measures floating-point operations per second of a [rows, inputs] · [inputs, outputs] product in this precision.
    ///
    /// Returns the best product within half a second.
    /// - Parameter most: the maximum number of products, 1 or more. A few suffice for an upper bound of a run time: a
    ///   peak measured too low only raises the bound.
    public func measurePeak(
        products most: Int = .max, rows: Int = 512, inputs inner: Int = 1024, outputs columns: Int = 1024
    ) -> Double {
        let weight = Matrix(zeros: columns, columns: inner, type: precision)
        let input = Buffer<UInt8>(count: rows * inner * precision.size)
        input.pointer.update(repeating: 0, count: input.count)
        let output = Buffer<UInt8>(count: rows * columns * precision.size)
        let x = MatrixView(UnsafeMutableRawPointer(input.pointer), type: precision, rows: rows, columns: inner)
        let out = MatrixView(UnsafeMutableRawPointer(output.pointer), type: precision, rows: rows, columns: columns)
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(500)
        var best = Duration.seconds(1000)
        var done = 0
        repeat {
            let start = clock.now
            linear(x, weight, into: out)
            best = min(best, clock.now - start)
            done += 1
        } while done < most && clock.now < end
        let (seconds, attoseconds) = best.components
        return 2 * Double(rows * inner * columns) / (Double(seconds) + Double(attoseconds) * 1e-18)
    }

    /// Measures operations per second of a product with random weights in `format` that are packed already.
    ///
    /// Returns the median of `products` products; a multiply-add is two operations.
    public func measureQuantized(
        _ format: WeightFormat, rows: Int, inputs: Int, outputs: Int, products: Int = 7
    ) throws -> Double {
        let floats = FloatMemory(count: outputs * inputs)
        var state: UInt32 = 1
        for index in 0..<outputs * inputs {
            state = state &* 1_664_525 &+ 1_013_904_223
            floats.buffer.pointer[index] = Float(state >> 8) / Float(1 << 23) - 1
        }
        let bytes = UnsafeRawBufferPointer(start: floats.buffer.pointer, count: outputs * inputs * 4)
        let tensor = StoredTensor(name: "random", type: .f32, shape: [outputs, inputs], bytes: bytes, owner: floats)
        guard let weight = Matrix(tensor, quantizedAs: format, compute: self) else {
            throw WeightsError.typeUnsupported(
                tensor.name, tensor.type, wanted: "a weight of at most \(QuantizedWeight.maxColumns) inputs")
        }
        let input = Buffer<Float>(count: rows * inputs)
        let output = Buffer<Float>(count: rows * outputs)
        for index in 0..<rows * inputs { input.pointer[index] = floats.buffer.pointer[index % (outputs * inputs)] }
        let x = MatrixView(input.pointer, rows: rows, columns: inputs)
        let out = MatrixView(output.pointer, rows: rows, columns: outputs)
        linear(x, weight, into: out)
        return 2 * Double(rows) * Double(inputs * outputs)
            / Self.medianSeconds(products) { linear(x, weight, into: out) }
    }

    /// Measures operations per second of oneDNN's own u8·s8 product with weights in its layout; nil without oneDNN.
    ///
    /// On a CPU without VNNI it saturates: it is a measure of speed only.
    public func measureLibraryInt8(rows: Int, inputs: Int, outputs: Int, products: Int = 7) -> Double? {
        #if OneDNN
            guard let library = Int8Peak(rows: rows, inputs: inputs, outputs: outputs) else { return nil }
            library.run()
            return 2 * Double(rows) * Double(inputs * outputs) / Self.medianSeconds(products) { library.run() }
        #else
            return nil
        #endif
    }

    /// Measures the bytes per second that all threads together read from memory.
    ///
    /// Returns the best pass over 256 MiB within half a second.
    public func measureReadBandwidth() -> Double {
        let lines = (256 << 20) / 64
        let buffer = Buffer<SIMD8<UInt64>>(count: lines)
        buffer.pointer.update(repeating: SIMD8(repeating: 1), count: lines)
        let base = buffer.pointer
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(500)
        var best = Duration.seconds(1000)
        repeat {
            let start = clock.now
            threadPool.parallelFor(lines) { range in
                var (a, b, c, d) = (SIMD8<UInt64>(), SIMD8<UInt64>(), SIMD8<UInt64>(), SIMD8<UInt64>())
                var line = range.lowerBound
                while line + 4 <= range.upperBound {
                    a |= base[line]
                    b |= base[line + 1]
                    c |= base[line + 2]
                    d |= base[line + 3]
                    line += 4
                }
                // Every value is 1; the test keeps the compiler from leaving the reads out.
                precondition((a | b | c | d).max() <= 1, "memory changed while it was read")
            }
            best = min(best, clock.now - start)
        } while clock.now < end
        let (seconds, attoseconds) = best.components
        return Double(lines * 64) / (Double(seconds) + Double(attoseconds) * 1e-18)
    }

    private static func medianSeconds(_ count: Int, _ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        let times = (0..<max(1, count)).map { _ in clock.measure(body) }.sorted()
        let (seconds, attoseconds) = times[times.count / 2].components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

private final class FloatMemory {
    let buffer: Buffer<Float>
    init(count: Int) { buffer = Buffer(count: count) }
}
