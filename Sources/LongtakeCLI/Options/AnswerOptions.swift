import ArgumentParser
import Longtake

/// Options for answering questions.
struct AnswerOptions: ParsableArguments {
    @Option(help: "Start of the range to ask about: 90, 10m, 01:30:00.")
    var from: TimeArgument?

    @Option(help: "End of the range; the frame at this time is not included.")
    var to: TimeArgument?

    @Option(.maxTokens, "Maximum length of the answer in tokens; 512 by default.")
    var maxTokens: Int?

    @Option(.temperature, "0 (the default): always the most likely token; above 0: tokens are sampled.")
    var temperature: DecimalNumber?

    @Option(
        .topP,
        """
        With a temperature: sample from the most likely tokens that together reach this probability; 1 by default.
        """)
    var topP: DecimalNumber?

    @Option(.seed, "With a temperature: seed of the random numbers; 0 by default.")
    var seed: UInt64?

    @Option(
        .fusion, "Frames the question is fused with: auto (a sample of long ranges) or exact (all).",
        completion: .list(FusionMode.allCases.map(\.rawValue)))
    var fusion: String?

    @Option(.fusionFrames, "Maximum number of frames the question is fused with under --fusion auto; 64 by default.")
    var fusionFrames: Int?

    @Option(
        .fusionError,
        """
        Stop fusing a long range's sample early once the relative standard error of the fused question is at most this; \
        0: always fuse the whole sample. By default the value in the model's folder (0.07 for the bundled model), else 0.
        """)
    var fusionError: DecimalNumber?

    @Option(
        .evidence,
        """
        Print the intervals that the answer was read from, at most this many; 3 by default. On a terminal they are always \
        printed.
        """)
    var evidence: Int?

    @Flag(
        help: """
            Replace an answer that was read from no frame with "not found in this recording", unless it is itself a \
            negative answer.
            """)
    var mustBeSeen = false

    /// True if evidence is printed even when standard output is not a terminal.
    var wantsEvidence: Bool { evidence != nil || OptionName.evidence.environmentText != nil }

    func question(_ text: String) throws -> Question {
        guard !PathArgument.wasRepaired(text) else { throw UsageError("the question is not valid UTF-8") }
        let mode = try OptionName.fusion.choice(fusion, of: FusionMode.allCases.map(\.rawValue))
        let tokens = try OptionName.maxTokens.value(maxTokens, in: 1...1_000_000) ?? Question.defaultMaxTokens
        if let from, let to, from.seconds >= to.seconds { throw UsageError("--from must be before --to") }
        var question = Question(
            text, from: from?.seconds, to: to?.seconds, maxTokens: tokens,
            fusion: mode.flatMap(FusionMode.init) ?? .automatic)
        let heat = try OptionName.temperature.value(temperature)?.value ?? 0
        guard heat >= 0, heat <= 100 else {
            throw UsageError(
                "\(OptionName.temperature.source(typed: temperature != nil)) must be 0 to 100, not \(heat)")
        }
        let probability = try OptionName.topP.value(topP)?.value ?? 1
        let seed = try OptionName.seed.value(seed) ?? 0
        guard probability > 0, probability <= 1 else {
            throw UsageError(
                "\(OptionName.topP.source(typed: topP != nil)) must be above 0 and at most 1, not \(probability)")
        }
        question.sample(temperature: heat, topP: probability, seed: seed)
        question.evidenceLimit = try OptionName.evidence.value(evidence, in: 0...1000) ?? question.evidenceLimit
        question.mustBeSeen = mustBeSeen
        question.fusionFrames =
            try OptionName.fusionFrames.value(fusionFrames, in: 1...1_000_000) ?? question.fusionFrames
        question.fusionError = try OptionName.fusionError.value(fusionError)?.value ?? question.fusionError
        if let error = question.fusionError, !(0...1).contains(error) {
            throw UsageError(
                "\(OptionName.fusionError.source(typed: fusionError != nil)) must be 0 to 1, not \(error)")
        }
        return question
    }
}
