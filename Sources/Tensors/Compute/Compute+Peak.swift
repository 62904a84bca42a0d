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
}
