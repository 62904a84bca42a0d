/// The fixed-point weights of one pass of Pillow's bicubic resize, for a range of output positions.
///
/// Source: Pillow's Resample.c (`precompute_coeffs`, `normalize_coeffs_8bpc`, `ImagingResample*_8bpc`).
struct BicubicTaps {
    /// First source position of each output.
    private let starts: [Int]
    /// Number of source positions of each output.
    private let counts: [Int]
    /// `stride` weights per output, with 22 fractional bits.
    private let weights: [Int32]
    private let stride: Int
    /// True if source and target size are equal; such a pass is skipped, as in Pillow.
    private let isIdentity: Bool
    /// The range of source positions that any output reads.
    let sourceRange: Range<Int>

    private static let fractionBits: Int32 = 22

    init(source: Int, target: Int, outputs: Range<Int>) {
        if source == target {
            isIdentity = true
            starts = Array(outputs)
            (counts, weights, stride) = ([], [], 0)
            sourceRange = outputs
            return
        }
        isIdentity = false
        let scale = Double(source) / Double(target)
        let filterScale = max(scale, 1)
        let support = 2 * filterScale
        let stride = Int(saturating: support.rounded(.up)) * 2 + 1
        var starts: [Int] = []
        var counts: [Int] = []
        var weights = [Int32](repeating: 0, count: stride * outputs.count)
        var taps = [Double](repeating: 0, count: stride)
        for (index, output) in outputs.enumerated() {
            let center = (Double(output) + 0.5) * scale
            let first = max(Int(saturating: center - support + 0.5), 0)
            let count = min(Int(saturating: center + support + 0.5), source) - first
            var sum = 0.0
            for tap in 0..<count {
                let weight = Self.bicubic((Double(tap + first) - center + 0.5) * (1 / filterScale))
                taps[tap] = weight
                sum += weight
            }
            for tap in 0..<count {
                let weight = (sum == 0 ? taps[tap] : taps[tap] / sum) * Double(1 << Self.fractionBits)
                weights[index * stride + tap] = Int32(saturating: weight < 0 ? weight - 0.5 : weight + 0.5)
            }
            starts.append(first)
            counts.append(count)
        }
        let end = zip(starts, counts).map { $0 + $1 }.max() ?? 0
        sourceRange = (starts.min() ?? 0)..<end
        (self.starts, self.counts, self.weights, self.stride) = (starts, counts, weights, stride)
    }

    /// Keys' cubic kernel with a = -0.5.
    private static func bicubic(_ position: Double) -> Double {
        let a = -0.5
        let x = abs(position)
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
        return 0
    }

    @inline(__always) private static func clip(_ sum: Int32) -> UInt8 {
        UInt8(max(0, min(255, sum >> fractionBits)))
    }

    /// Resizes one row of RGB pixels horizontally.
    func applyAcross(_ line: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<UInt8>, at offset: Int)
    {
        if isIdentity {
            let first = (starts.first ?? 0) * 3
            for index in 0..<(starts.count * 3) { target[offset + index] = line[first + index] }
            return
        }
        let half: Int32 = 1 << (Self.fractionBits - 1)
        weights.withUnsafeBufferPointer { weights in
            for output in 0..<starts.count {
                var (red, green, blue) = (half, half, half)
                var from = starts[output] * 3
                let base = output * stride
                for tap in 0..<counts[output] {
                    let weight = weights[base + tap]
                    red &+= Int32(line[from]) &* weight
                    green &+= Int32(line[from + 1]) &* weight
                    blue &+= Int32(line[from + 2]) &* weight
                    from += 3
                }
                let to = offset + output * 3
                target[to] = Self.clip(red)
                target[to + 1] = Self.clip(green)
                target[to + 2] = Self.clip(blue)
            }
        }
    }

    /// Resizes all rows vertically; `rowOffsets` holds the offset in `source` of each row of `sourceRange`.
    func applyDown(
        _ source: UnsafeBufferPointer<UInt8>, rowOffsets: [Int], rowBytes: Int,
        into target: UnsafeMutableBufferPointer<UInt8>
    ) {
        var sums = [Int32](repeating: 0, count: rowBytes)
        sums.withUnsafeMutableBufferPointer { sums in
            for output in 0..<starts.count {
                let first = starts[output] - sourceRange.lowerBound
                let to = output * rowBytes
                if isIdentity {
                    for index in 0..<rowBytes { target[to + index] = source[rowOffsets[first] + index] }
                    continue
                }
                sums.update(repeating: 1 << (Self.fractionBits - 1))
                for tap in 0..<counts[output] {
                    let weight = weights[output * stride + tap]
                    let from = rowOffsets[first + tap]
                    for index in 0..<rowBytes { sums[index] &+= Int32(source[from + index]) &* weight }
                }
                for index in 0..<rowBytes { target[to + index] = Self.clip(sums[index]) }
            }
        }
    }
}
