package import Models

/// Which frames of a range the question's text is fused with.
public enum FusionMode: String, Sendable, Codable, CaseIterable {
    /// All frames up to the model's limit, a stratified sample of that many beyond.
    case automatic = "auto"
    /// All frames, however long it takes.
    case exact
}

/// The fusion frames of one question, and how far the estimate from them may be off.
public struct FusionSummary: Sendable, Codable, Equatable {
    public let frames: Int
    public let of: Int
    /// Standard error of the estimated mean, relative to the mean's length; 0 when all frames took part.
    public internal(set) var relativeStandardError: Double

    package init(frames: Int, of: Int, relativeStandardError: Double) {
        self.frames = frames
        self.of = of
        self.relativeStandardError = relativeStandardError
    }

    private enum CodingKeys: String, CodingKey {
        case frames, of
        case relativeStandardError = "relative_standard_error"
    }
}

package enum FusionPlan {
    /// Fusing a frame with a question costs at least this many operations before sampling is worth its error.
    static let cheapOperations = 10e9
    static let sampleSize = 64

    /// How many frames may be fused exactly: all of them for a small model, 64 at full size.
    package static func limit(_ model: LlavaMini, textRows: Int) -> Int {
        let language = model.language.config
        let perRow =
            Double(language.hiddenSize)
            * Double(
                2 * language.headCount * language.headSize + 2 * language.keyValueHeadCount * language.headSize
                    + 3 * language.intermediateSize)
        let rows = Double(model.patchRows + textRows)
        let operations = 2 * perRow * rows * Double(model.fusion.prefusionLayerCount)
        return operations < cheapOperations ? Int.max : sampleSize
    }

    /// The middle frame of each of `limit` equal stretches of 0..<count; all frames when they are no more than that.
    ///
    /// Depends on nothing but the two numbers, so the same question has the same fusion frames everywhere.
    package static func frames(count: Int, limit: Int) -> [Int] {
        guard count > limit else { return Array(0..<count) }
        return (0..<limit).map { (2 * $0 + 1) * count / (2 * limit) }
    }
}
