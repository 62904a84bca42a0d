import ArgumentParser
import Longtake

/// Options for answering questions.
struct AnswerOptions: ParsableArguments {
    @Option(help: "Look only from here on: 90, 10m, 01:30:00.")
    var from: TimeArgument?

    @Option(help: "Look only up to here (the frame at this time is not looked at).")
    var to: TimeArgument?

    @Option(help: "Longest answer in tokens, 512 by default. (env: LONGTAKE_MAX_TOKENS)")
    var maxTokens: Int?

    @Option(help: "0: always the likeliest token; above: sampled. (env: LONGTAKE_TEMPERATURE)")
    var temperature: DecimalNumber?

    @Option(
        help:
            "With a temperature: the likeliest tokens that reach this probability together, 1 by default. (env: LONGTAKE_TOP_P)"
    )
    var topP: DecimalNumber?

    @Option(help: "With a temperature: the same seed gives the same answer; 0 by default. (env: LONGTAKE_SEED)")
    var seed: UInt64?

    @Option(
        help: """
            Frames the question is fused with: auto (a sample of long ranges) or exact (all). (env: LONGTAKE_FUSION)
            """)
    var fusion: String?

    @Option(
        help: """
            The most frames the question is fused with under --fusion auto, 64 by default. (env: LONGTAKE_FUSION_FRAMES)
            """)
    var fusionFrames: Int?

    @Option(
        help: """
            Of a long range fewer frames are enough where the fused question's relative standard error is at most this; 0: always \
            all of the sample. By default what the model's folder says (0.07 for the bundled one), else 0. \
            (env: LONGTAKE_FUSION_ERROR)
            """)
    var fusionError: DecimalNumber?

    @Option(
        help: """
            Say what the answer was read from, at most so many stretches (3). On a terminal that is said anyway. (env: \
            LONGTAKE_EVIDENCE)
            """)
    var evidence: Int?

    @Flag(
        help: """
            An answer that was read from no frame is replaced by "not found in this recording", unless it says itself that \
            there is nothing.
            """)
    var mustBeSeen = false

    /// True if evidence is printed even when standard output is not a terminal.
    var wantsEvidence: Bool { evidence != nil || Environment.text("EVIDENCE") != nil }

    func question(_ text: String) throws -> Question {
        guard !PathArgument.wasRepaired(text) else { throw UsageError("the question is not valid UTF-8") }
        let word = fusion ?? Environment.text("FUSION") ?? FusionMode.automatic.rawValue
        guard let fusion = FusionMode(rawValue: word) else {
            throw UsageError("--fusion is auto or exact, not \(word)")
        }
        let tokens = try maxTokens ?? Environment.value("MAX_TOKENS") ?? Question.defaultMaxTokens
        guard (1...1_000_000).contains(tokens) else {
            throw UsageError("--max-tokens must be 1 to 1000000, not \(tokens)")
        }
        if let from, let to, from.seconds >= to.seconds { throw UsageError("--from must be before --to") }
        var wanted = Question(text, from: from?.seconds, to: to?.seconds, maxTokens: tokens, fusion: fusion)
        let heat = try temperature?.value ?? Environment.number("TEMPERATURE") ?? 0
        guard heat >= 0, heat <= 100 else { throw UsageError("--temperature must be 0 to 100, not \(heat)") }
        let topP = try topP?.value ?? Environment.number("TOP_P") ?? 1
        let seed = try seed ?? Environment.value("SEED") ?? 0
        guard topP > 0, topP <= 1 else { throw UsageError("--top-p must be above 0 and at most 1, not \(topP)") }
        wanted.sample(temperature: heat, topP: topP, seed: seed)
        wanted.evidenceLimit = try evidence ?? Environment.value("EVIDENCE") ?? wanted.evidenceLimit
        guard (0...1000).contains(wanted.evidenceLimit) else {
            throw UsageError("--evidence must be 0 to 1000, not \(wanted.evidenceLimit)")
        }
        wanted.mustBeSeen = mustBeSeen
        wanted.fusionFrames = try fusionFrames ?? Environment.value("FUSION_FRAMES") ?? wanted.fusionFrames
        guard (1...1_000_000).contains(wanted.fusionFrames) else {
            throw UsageError("--fusion-frames must be 1 to 1000000, not \(wanted.fusionFrames)")
        }
        wanted.fusionError = try fusionError?.value ?? Environment.number("FUSION_ERROR") ?? wanted.fusionError
        if let error = wanted.fusionError, !(0...1).contains(error) {
            throw UsageError("--fusion-error must be 0 to 1, not \(error)")
        }
        return wanted
    }
}
