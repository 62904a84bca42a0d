/// The settings that choose the next token from the logits.
public struct GenerationOptions: Sendable, Equatable {
    /// 0 is greedy: the largest logit, at equal logits the smallest ID.
    public var temperature: Double
    /// Nucleus sampling: only the most probable tokens that together reach this probability are considered.
    public var topP: Double
    /// Seed of the random generator.
    public var seed: UInt64

    /// Always the most probable token.
    public static let greedy = GenerationOptions(temperature: 0, topP: 1, seed: 0)

    /// Samples at `temperature` from the nucleus of probability `topP`, with the generator at `seed`.
    public init(temperature: Double, topP: Double = 1, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topP = topP
        self.seed = seed
    }
}
