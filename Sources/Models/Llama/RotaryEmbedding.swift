public import Checkpoints
internal import Glibc
public import Tensors

// Letters: d head size; half = d / 2.

/// Rotary position embedding (RoPE): the cosines and sines of position · frequency, computed on demand.
///
/// Angles are computed in f32, as in the reference: at position 90,000 this is the largest rounding error.
/// Source: docs/model.md, section 7; `rope_theta`, `rope_scaling`.
public final class RotaryEmbedding {
    /// The frequencies ω_k in radians per position, k in 0..<half: [half].
    public let frequencies: [Float]
    private let half: Int  // d / 2
    private var cosines = Buffer<Float>(count: 0)  // [computed.count, half]
    private var sines = Buffer<Float>(count: 0)  // [computed.count, half]
    private var computed = 0..<0  // positions in the tables
    private var scatteredCosines = Buffer<Float>(count: 0)  // [rows, half] of `rotation(at:)`
    private var scatteredSines = Buffer<Float>(count: 0)  // [rows, half] of `rotation(at:)`

    /// Computes the frequencies, with Llama 3.1's scaling if the configuration has it.
    public init(_ config: RopeConfig, headSize: Int) {
        half = headSize / 2
        frequencies = (0..<headSize / 2).map { index in
            let frequency = 1 / powf(Float(config.theta), Float(2 * index) / Float(headSize))
            guard let scaling = config.scaling else { return frequency }
            return Self.scaled(frequency, scaling)
        }
    }

    /// Llama 3.1's scaling: frequencies of long wavelengths are divided by the factor, those of short ones kept, and
    /// interpolated between.
    private static func scaled(_ frequency: Float, _ scaling: Llama3Scaling) -> Float {
        let (factor, low, high) = (
            Float(scaling.factor), Float(scaling.lowFrequencyFactor), Float(scaling.highFrequencyFactor)
        )
        let original = Float(scaling.originalMaxPositions)
        let wavelength = 2 * Float.pi / frequency
        if wavelength < original / high { return frequency }
        if wavelength > original / low { return frequency / factor }
        let blend = (original / wavelength - low) / (high - low)  // b in docs/model.md
        return (1 - blend) * frequency / factor + blend * frequency
    }

    /// The cosines and sines of the given positions, [positions.count, half] each.
    ///
    /// Valid until the next call of this function.
    func rotation(at positions: [Int]) -> Rotation {
        scatteredCosines.reserve(positions.count * half)
        scatteredSines.reserve(positions.count * half)
        for (row, position) in positions.enumerated() {
            write(position, into: scatteredCosines.pointer + row * half, scatteredSines.pointer + row * half)
        }
        return Rotation(
            cosines: scatteredCosines.pointer, sines: scatteredSines.pointer, rows: positions.count, half: half)
    }

    private func write(
        _ position: Int, into cosines: UnsafeMutablePointer<Float>, _ sines: UnsafeMutablePointer<Float>
    ) {
        for k in 0..<half {
            let angle = Float(position) * frequencies[k]
            cosines[k] = cosf(angle)
            sines[k] = sinf(angle)
        }
    }

    /// The cosines and sines of `count` positions from `start` on, [count, half] each.
    ///
    /// Valid until a call requests positions that are not computed yet.
    public func rotation(from start: Int, count: Int) -> Rotation {
        if !(computed.lowerBound <= start && start + count <= computed.upperBound) {
            // Computes the next tokens' positions too, but no earlier ones: after hours of frames those would cost
            // more than the answer's prefill.
            computed = start..<start + max(count, 256)
            cosines.reserve(computed.count * half)
            sines.reserve(computed.count * half)
            for position in computed {
                let rowStart = (position - start) * half
                write(position, into: cosines.pointer + rowStart, sines.pointer + rowStart)
            }
        }
        let first = (start - computed.lowerBound) * half
        return Rotation(cosines: cosines.pointer + first, sines: sines.pointer + first, rows: count, half: half)
    }
}
