extension Compute {
    /// Measures floating-point operations per second of a 512 × 1024 × 1024 product in this precision.
    ///
    /// Returns the best product within half a second.
    /// - Parameter most: the maximum number of products, 1 or more. A few suffice for an upper bound of a run time: a
    ///   peak measured too low only raises the bound.
    public func measurePeak(products most: Int = .max) -> Double {
        let (rows, inner, columns) = (512, 1024, 1024)
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
}
