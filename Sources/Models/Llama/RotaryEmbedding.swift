public import Checkpoints
internal import Glibc
public import Tensors

// Letters: d head size; half = d / 2.

/// Rotary position embedding: the cosines and sines of position · frequency, computed on demand.
///
/// Angles are computed in f32, as in the reference: at position 90,000 this matters more than any other rounding.
/// Source: docs/model.md, section 7; `rope_theta`, `rope_scaling`.
public final class RotaryEmbedding {
    /// The frequencies ω_k in radians per position, k in 0..<half: [half].
    public let frequencies: [Float]
    private let half: Int  // d / 2
    private var cosines = Buffer<Float>(count: 0)  // [known.count, half]
    private var sines = Buffer<Float>(count: 0)  // [known.count, half]
    private var known = 0..<0  // positions computed

    /// Computes the frequencies, with Llama 3.1's scaling if the configuration has it.
    public init(_ config: RopeConfig, headSize: Int) {
        half = headSize / 2
        frequencies = (0..<headSize / 2).map { index in
            let plain = 1 / powf(Float(config.theta), Float(2 * index) / Float(headSize))
            guard let scaling = config.scaling else { return plain }
            return Self.scaled(plain, scaling)
        }
    }

    /// Llama 3.1's frequency scaling: long wavelengths are divided by the factor, short ones kept, interpolated
    /// between.
    private static func scaled(_ frequency: Float, _ s: Llama3Scaling) -> Float {
        let (factor, low, high) = (Float(s.factor), Float(s.lowFrequencyFactor), Float(s.highFrequencyFactor))
        let original = Float(s.originalMaxPositions)
        let wavelength = 2 * Float.pi / frequency
        if wavelength < original / high { return frequency }
        if wavelength > original / low { return frequency / factor }
        let t = (original / wavelength - low) / (high - low)
        return (1 - t) * frequency / factor + t * frequency
    }

    /// The angles of `count` rows from position `start` on, [count, d / 2].
    ///
    /// Valid until a call requests rows outside the last computed range.
    public func rotation(from start: Int, count: Int) -> Rotation {
        if !(known.lowerBound <= start && start + count <= known.upperBound) {
            // Computes rows for the next tokens too, but not for earlier positions: after hours of frames those would
            // cost more than the answer's prefill.
            known = start..<start + max(count, 256)
            cosines.reserve(known.count * half)
            sines.reserve(known.count * half)
            for position in known {
                let row = (position - start) * half
                for k in 0..<half {
                    let angle = Float(position) * frequencies[k]
                    cosines.pointer[row + k] = cosf(angle)
                    sines.pointer[row + k] = sinf(angle)
                }
            }
        }
        let first = (start - known.lowerBound) * half
        return Rotation(cosines: cosines.pointer + first, sines: sines.pointer + first, rows: count, half: half)
    }
}
