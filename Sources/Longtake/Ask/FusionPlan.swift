/// Which frames of a range the question's text is fused with.
public enum FusionMode: String, Sendable, Codable, CaseIterable {
    /// All frames of a short range; of a longer one a stratified sample of `Question.fusionFrames`.
    case automatic = "auto"
    /// All frames, however long that takes.
    case exact
}

/// How many frames a question's text was fused with, and the error of their mean.
public struct FusionSummary: Sendable, Codable, Equatable {
    /// Frames fused.
    public let frames: Int
    /// Frames in the range.
    public let of: Int
    /// Standard error of the estimated mean, relative to the mean's length; 0 only if all frames were fused, or if the
    /// model fuses none.
    ///
    /// nil (JSON null) if unknown: one frame of several, or frames chosen by attention instead of sampled.
    public internal(set) var relativeStandardError: Double?

    /// A summary of `frames` fused out of `of` in the range.
    package init(frames: Int, of: Int, relativeStandardError: Double?) {
        self.frames = frames
        self.of = of
        self.relativeStandardError = relativeStandardError
    }

    private enum CodingKeys: String, CodingKey {
        case frames, of
        case relativeStandardError = "relative_standard_error"
    }

    /// Encodes an unknown error as null.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(frames, forKey: .frames)
        try values.encode(of, forKey: .of)
        // null and not absent: a reader must not take "unknown" for 0.
        try values.encode(relativeStandardError, forKey: .relativeStandardError)
    }
}

/// Which frames are fused, and in which order.
package enum FusionPlan {
    /// Default for the most frames fused.
    package static let sampleSize = 64

    /// Fewest frames of a sample fused before the error is first checked.
    private static let firstFrames = 8

    /// Frames whose suffixes are fused together.
    ///
    /// Only the text's few rows are computed: more frames per batch read the weights less often. A batch copies the
    /// frames' keys and values, so it is limited to 128 MiB; batches are as equal as possible.
    static func batchSize(frames: Int, bytesPerLayer: Int) -> Int {
        let most = max(1, (128 << 20) / max(1, bytesPerLayer))
        let batches = max(1, (frames + most - 1) / most)
        return max(1, (frames + batches - 1) / batches)
    }

    /// The middle frame of each of `limit` equal parts of 0..<count; all frames if there are at most `limit`.
    ///
    /// Depends only on its arguments, so the same question has the same fusion frames on every machine.
    package static func frames(count: Int, limit: Int) -> [Int] {
        guard count > limit else { return Array(0..<count) }
        return (0..<limit).map { (2 * $0 + 1) * count / (2 * limit) }
    }

    /// The order in which a sample is fused, and the sizes at which it may stop.
    ///
    /// The frames up to each size are evenly spread over the sample.
    package struct Steps: Equatable {
        /// Indices into the sample.
        package let order: [Int]
        /// Numbers of frames fused at each step, ascending; the last is the whole sample.
        package let sizes: [Int]

        /// Fuses all frames in one step.
        package init(whole count: Int) {
            order = Array(0..<count)
            sizes = [count]
        }

        /// Steps through a sample of `count` frames, each size about twice the one before.
        package init(sampleOf count: Int) {
            var step = 1
            while count / (2 * step) >= firstFrames { step *= 2 }
            // Every `step`-th frame first, then the midpoints between those, then the midpoints between all these, etc.
            var parts = [(from: step / 2, by: step)]
            if step > 1 { parts.append((0, step)) }
            while let last = parts.last, last.by > 2 { parts.append((last.by / 4, last.by / 2)) }
            var (order, sizes): ([Int], [Int]) = ([], [])
            for part in parts {
                order += stride(from: part.from, to: count, by: part.by)
                sizes.append(order.count)
            }
            (self.order, self.sizes) = (order, sizes)
        }

        /// The next size after `size` at which the error should be at most `target`, else the whole sample.
        ///
        /// Extrapolates from `error` at `size`, with the error falling as 1/√frames.
        package func size(after size: Int, error: Double, target: Double) -> Int {
            let wanted = Double(size) * (error / target) * (error / target)
            return sizes.first { $0 > size && Double($0) >= wanted } ?? order.count
        }
    }
}
