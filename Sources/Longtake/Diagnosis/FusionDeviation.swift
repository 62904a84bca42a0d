internal import Models
internal import Store
internal import Tokenizers

/// A question's text fused with a sample of frames, beside the same text fused with all of them.
public struct FusionDeviation: Sendable, Codable {
    public let question: String
    public let frames: Int
    public let of: Int
    /// Of the sample's mean from that of all frames, relative to its length.
    public let deviation: Double
    /// What the sample says of itself; nil for a sample of one frame.
    public let relativeStandardError: Double?

    private enum CodingKeys: String, CodingKey {
        case question, frames, of, deviation
        case relativeStandardError = "relative_standard_error"
    }
}

extension Asker {
    /// - Throws: as `ask`.
    func deviations(_ questions: [Question], _ reader: IndexReader) throws -> [FusionDeviation] {
        guard let first = questions.first else { return [] }
        let source = try source(reader, from: first.from, to: first.to)
        let prompts = try questions.map { try loaded.prompt($0.text).ids }
        let (some, all) = (try PromptGroup(prompts, model: model), try PromptGroup(prompts, model: model))
        let frames = fusionFrames(source, .automatic, most: first.fusionFrames)
        let keep =
            frames.count <= Self.mostFused
            ? PreFusionCache(model, headRows: some.headRows, capacity: frames.count) : nil
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
