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
    /// - Throws: as `ask`.
    func deviations(_ questions: [Question], _ reader: IndexReader) throws -> [FusionDeviation] {
        guard let first = questions.first else { return [] }
        let source = try source(reader, from: first.from, to: first.to)
        let prompts = try questions.map { try loaded.prompt($0.text).ids }
        let (some, all) = (try PromptGroup(prompts, model: model), try PromptGroup(prompts, model: model))
        let frames = fusionFrames(source, .automatic, most: first.fusionFrames)
        let keep =
            frames.count <= Self.mostFused
            ? PreFusionCache(model, prefixRows: some.headRows, capacity: frames.count) : nil
        let times = try fuse(some, source, frames: frames, keep: keep) { _ in }
        if let keep {
            try follow(
                some, keep, times: times, of: source.times.count, enough: first.fusionError ?? loaded.fusionError
            ) { _ in }
        }
        _ = try fuse(all, source, frames: Array(source.times.indices), keep: nil) { _ in }
        return questions.indices.map { place in
            FusionDeviation(
                question: questions[place].text, frames: some.texts[place].frameCount, of: source.times.count,
                deviation: some.texts[place].deviation(from: all.texts[place]),
                relativeStandardError: some.texts[place].relativeStandardError(population: source.times.count))
        }
    }
}
