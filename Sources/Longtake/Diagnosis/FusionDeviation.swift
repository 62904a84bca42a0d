internal import Models
internal import Store
internal import Tokenizers

/// Compares a question's text fused with a sample of frames to the same text fused with all of them.
package struct FusionDeviation: Sendable, Codable {
    /// The question's text.
    package let question: String
    /// Frames of the sample that were fused.
    package let frames: Int
    /// Frames in the range.
    package let of: Int
    /// Distance of the sample's mean from the mean over all frames, relative to the latter's length.
    package let deviation: Double
    /// The sample's own estimate of that distance; nil for a sample of one frame.
    package let relativeStandardError: Double?

    private enum CodingKeys: String, CodingKey {
        case question, frames, of, deviation
        case relativeStandardError = "relative_standard_error"
    }
}

extension Asker {
    /// The deviation for each question, over the range of the first.
    ///
    /// - Throws: as `answer`.
    func fusionDeviations(of questions: [Question], _ reader: IndexReader) throws -> [FusionDeviation] {
        guard let first = questions.first else { return [] }
        let source = try frames(of: reader, from: first.from, to: first.to)
        let prompted = try questions.map { try self.prompted($0) }
        let sampled = try FusionContext(
            prompted, source, frames: source.fusionFrames(.automatic, limit: first.fusionFrames),
            targetError: first.fusionError ?? loaded.fusionError, model: model)
        let whole = try FusionContext(prompted, source, frames: Array(source.times.indices), model: model)
        let cache =
            sampled.frames.count <= PrefixCache.maxFusedFrames
            ? PreFusionCache(model, prefixRows: sampled.group.headRows, capacity: sampled.frames.count) : nil
        let repeats = try fuse(sampled, into: cache) { _ in }
        if let cache { try fuseSuffixes(sampled, after: cache, repeats: repeats) { _ in } }
        _ = try fuse(whole, into: nil) { _ in }
        return questions.indices.map { index in
            let summary = sampled.summary(of: index)
            return FusionDeviation(
                question: questions[index].text, frames: summary.frames, of: summary.of,
                deviation: sampled.group.texts[index].deviation(from: whole.group.texts[index]),
                relativeStandardError: summary.relativeStandardError)
        }
    }
}
