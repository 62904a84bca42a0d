/// The text generated from one fused prompt, with the attention meanwhile.
struct Generation {
    let text: String
    /// The text in the question's form; nil: free text.
    let declared: DeclaredAnswer?
    /// Generated IDs, the stop token included.
    let tokenIDs: [Int32]
    /// Lowest probability, over all steps, of the likeliest next token; nil if nothing was generated.
    let certainty: Double?
    let stop: Answer.Stop
    let attention: AttentionSummary
    /// Seconds of the language model up to the first token, without a prefix computed before.
    let prefillSeconds: Double
    /// Seconds from the question's start to the first token.
    let firstTokenSeconds: Double
    /// Seconds after the first token.
    let decodeSeconds: Double
    /// Seconds per token after the first; nil for fewer than two tokens.
    var secondsPerToken: Double? { tokenIDs.count > 1 ? decodeSeconds / Double(tokenIDs.count - 1) : nil }
}

/// How a question's text was fused, and the time that took.
struct FusionOutcome {
    let summary: FusionSummary
    /// Seconds of fusing the text, with a prefix cache computed for it.
    let fuseSeconds: Double
    /// Seconds of the language model for that prefix cache.
    var prefixSeconds = 0.0
}

/// A generated text with its evidence: the answer, or the first of two.
struct AnswerPass {
    let generation: Generation
    let fusion: FusionOutcome
    /// The generated text, or "not found in this recording".
    let text: String
    /// The model's own text, if `text` differs from it.
    let modelText: String?
    /// The value of an answer in a form; nil: free text, or it was replaced.
    let value: AnswerValue?
    let found: Bool
    let evidence: [Evidence]

    /// Replaces an empty answer, or one that must be seen and was not.
    private static let notFound = "not found in this recording"

    /// Attaches the evidence; an answer that was not found and is empty, or must be seen, becomes "not found".
    ///
    /// - Parameter threshold: share of attention on frames from which an answer counts as found; nil: always.
    init(
        _ generation: Generation, question: Question, threshold: Double?, source: FrameSource, fusion: FusionOutcome
    ) {
        self.generation = generation
        self.fusion = fusion
        found = threshold.map { (generation.attention.share ?? 0) >= $0 } ?? true
        evidence =
            found
            ? Array(
                Evidence.intervals(
                    generation.attention.located, times: source.times, frameNumbers: source.frameNumbers,
                    frameSeconds: source.frameSeconds, clock: source.clock
                ).prefix(max(0, question.evidenceLimit))) : []
        let isDenial = generation.declared?.value.isDenial ?? Answer.isDenial(generation.text)
        let isReplaced = !found && (generation.text.isEmpty || (question.mustBeSeen && !isDenial))
        text = isReplaced ? Self.notFound : generation.declared?.text ?? generation.text
        modelText = text == generation.text ? nil : generation.text
        value = isReplaced ? nil : generation.declared?.value
    }
}

/// The passes over a question: one, or two with the second fused with selected frames.
struct AnswerPasses {
    let first: AnswerPass
    var second: AnswerPass?
    /// The first answer, if there was a second pass.
    var focus: FocusSummary?
    /// Remarks about the passes, one sentence each.
    var notes: [String] = []
    /// The pass that the answer is taken from.
    var last: AnswerPass { second ?? first }
    var all: [AnswerPass] { [first] + [second].compactMap(\.self) }
}
