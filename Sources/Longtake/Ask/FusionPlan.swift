/// Which frames of a range the question's text is fused with.
public enum FusionMode: String, Sendable, Codable, CaseIterable {
    /// All frames of a short range, a stratified sample of that many of a longer one.
    case automatic = "auto"
    /// All frames, however long it takes.
    case exact
}

/// The fusion frames of one question, and how far the estimate from them may be off.
public struct FusionSummary: Sendable, Codable, Equatable {
    public let frames: Int
    public let of: Int
    /// Standard error of the estimated mean, relative to the mean's length; 0 only when all frames took part.
    ///
    /// nil (JSON null) where it is unknown: one frame of several, or frames that were chosen and not drawn.
    public internal(set) var relativeStandardError: Double?

    package init(frames: Int, of: Int, relativeStandardError: Double?) {
        self.frames = frames
        self.of = of
        self.relativeStandardError = relativeStandardError
    }

    private enum CodingKeys: String, CodingKey {
        case frames, of
        case relativeStandardError = "relative_standard_error"
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(frames, forKey: .frames)
        try values.encode(of, forKey: .of)
        // null and not absent: who reads it must not take "unknown" for 0.
        try values.encode(relativeStandardError, forKey: .relativeStandardError)
    }
}

package enum FusionPlan {
    /// As many frames are fused unless the question says otherwise.
    package static let sampleSize = 64

    /// At least as many frames of a sample are looked at first.
    private static let firstFrames = 8

    /// The middle frame of each of `limit` equal stretches of 0..<count; all frames when they are no more than that.
    ///
    /// Depends on nothing but the two numbers, so the same question has the same fusion frames everywhere.
    package static func frames(count: Int, limit: Int) -> [Int] {
        guard count > limit else { return Array(0..<count) }
        return (0..<limit).map { (2 * $0 + 1) * count / (2 * limit) }
    }

    /// An order in which a sample is fused, and after how many of its frames it may be large enough: those before are then evenly
    /// spread over it.
    package struct Steps: Equatable {
        package let order: [Int]
        package let sizes: [Int]

        /// All frames at once.
        package init(whole count: Int) {
            order = Array(0..<count)
            sizes = [count]
        }

        /// A sample of `count`: each size about twice the one before it.
        package init(sampleOf count: Int) {
            var step = 1
            while count / (2 * step) >= firstFrames { step *= 2 }
            // One of each `step` frames; those in the middle between them; those in the middle between all these, and so on.
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

        /// The size to go on to from `size`, at which the error is `error`: where it will have fallen to `enough`, if it falls
        /// with the root of the frames.
        package func size(after size: Int, error: Double, enough: Double) -> Int {
            let wanted = Double(size) * (error / enough) * (error / enough)
            return sizes.first { $0 > size && Double($0) >= wanted } ?? order.count
        }
    }
}

extension Asker {
    /// The frames of the source that a first look fuses the text with.
    ///
    /// Of a long range they are taken from the sample whose patches always stay, where it has enough in the range: so the
    /// answer does not change when other frames' patches go.
    package func fusionFrames(_ source: Source, _ mode: FusionMode, most limit: Int) -> [Int] {
        let count = source.times.count
        guard mode == .automatic else { return Array(0..<count) }
        if count > limit, source.sample.count >= limit {
            return FusionPlan.frames(count: source.sample.count, limit: limit).map { source.sample[$0] }
        }
        guard let readable = source.readable else { return FusionPlan.frames(count: count, limit: limit) }
        // None at all: reading the first one says so.
        guard !readable.isEmpty else { return FusionPlan.frames(count: count, limit: limit) }
        return FusionPlan.frames(count: readable.count, limit: limit).map { readable[$0] }
    }
}
