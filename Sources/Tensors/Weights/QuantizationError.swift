/// The deviation of quantized weights from the original ones, summed over rows in order.
///
/// The same bits on every instruction set and for any number of threads: rows are independent and added in order.
public struct QuantizationError: Sendable, Equatable, BitwiseCopyable {
    private var weights = 0.0  // Σ w²
    private var quantized = 0.0  // Σ ŵ²
    private var products = 0.0  // Σ w·ŵ
    private var errors = 0.0  // Σ (w − ŵ)²
    private var typical = 0.0  // Σ over rows of n · (√(π/2) · mean |w| without the largest)²
    /// The largest weight of a row divided by the row's root mean square, of the row where that is largest.
    public private(set) var outlier = 0.0

    /// No rows.
    public init() {}

    /// The root mean square of the errors divided by that of the weights; 0 for weights that are all 0.
    public var relative: Double { Self.ratio(errors, weights) }

    /// The root mean square of the errors divided by the typical size of a weight.
    ///
    /// That is √(π/2) times the mean magnitude of all weights of the row but the largest. For normally distributed
    /// weights it is the same as `relative`. A few large weights in a row raise the root mean square of all weights, so
    /// `relative` stays small although the others have lost their precision; this does not.
    public var relativeToTypical: Double { Self.ratio(errors, typical) }

    /// The cosine of the angle between the original and the quantized weights; 1 for weights that are all 0.
    public var cosine: Double {
        weights == 0 && quantized == 0 ? 1 : products / (weights * quantized).squareRoot()
    }

    /// The largest `relative` and `relativeToTypical` of weights that are stored quantized.
    ///
    /// Normally distributed weights have 0.007 to 0.01 in int8 and 0.07 to 0.09 in int4.
    public static func bound(_ format: WeightFormat) -> Double {
        switch format {
        case .int8, .int8Groups: 0.03
        case .int4: 0.15
        }
    }

    /// True if the weights may be stored in this format; false for weights that are not finite.
    public func isWithinBound(_ format: WeightFormat) -> Bool {
        let bound = Self.bound(format)
        return relative <= bound && relativeToTypical <= bound
    }

    /// Adds another matrix's rows.
    public static func += (sum: inout QuantizationError, rows: QuantizationError) {
        sum.weights += rows.weights
        sum.quantized += rows.quantized
        sum.products += rows.products
        sum.errors += rows.errors
        sum.typical += rows.typical
        sum.outlier = max(sum.outlier, rows.outlier)
    }

    /// The deviation of one row of `count` weights from its quantized values.
    public init(row: UnsafePointer<Float>, quantized: UnsafePointer<Float>, count: Int) {
        typealias Lanes = SIMD8<Float>
        let lanes = Lanes.scalarCount
        var (squares, quantizedSquares, products, errors) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
        var (magnitudes, largest) = (Lanes.zero, Lanes.zero)
        func add(_ w: Lanes, _ q: Lanes) {
            let magnitude = w.replacing(with: -w, where: w .< 0)
            squares += w * w
            quantizedSquares += q * q
            products += w * q
            errors += (w - q) * (w - q)
            magnitudes += magnitude
            largest.replace(with: magnitude, where: magnitude .> largest)
        }
        var index = 0
        while index + lanes <= count {
            add(
                UnsafeRawPointer(row + index).loadUnaligned(as: Lanes.self),
                UnsafeRawPointer(quantized + index).loadUnaligned(as: Lanes.self))
            index += lanes
        }
        if index < count {
            var (w, q) = (Lanes.zero, Lanes.zero)
            for lane in 0..<count - index { (w[lane], q[lane]) = (row[index + lane], quantized[index + lane]) }
            add(w, q)
        }
        func sum(_ values: Lanes) -> Double { (0..<lanes).reduce(0.0) { $0 + Double(values[$1]) } }
        self.weights = sum(squares)
        self.quantized = sum(quantizedSquares)
        self.products = sum(products)
        self.errors = sum(errors)
        let mean = (sum(magnitudes) - Double(largest.max())) / Double(max(count - 1, 1))
        typical = Double(count) * mean * mean * Double.pi / 2
        let rms = (weights / Double(max(count, 1))).squareRoot()
        outlier = rms > 0 ? Double(largest.max()) / rms : 0
    }

    private static func ratio(_ errors: Double, _ size: Double) -> Double {
        errors == 0 ? 0 : (errors / size).squareRoot()
    }
}
