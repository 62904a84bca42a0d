internal import Checkpoints
internal import Models
internal import Tokenizers

/// Questions about the same frames, from their prompts to the language model's input: what the stages hand on.
struct FusionContext {
    let questions: [PromptedQuestion]
    let source: FrameSource
    /// The questions' texts with the frames fused so far.
    let group: PromptGroup
    /// The vision tokens of all frames in the range.
    let tokens: VisionTokenReader
    /// Indices of the source's frames that the texts are fused with, ascending; empty if the model fuses no text.
    let frames: [Int]
    /// Fusing a sample stops for a text whose relative standard error is at most this; 0: fuse the whole sample.
    let targetError: Double
    private let fusesText: Bool

    init(
        _ questions: [PromptedQuestion], _ source: FrameSource, frames: [Int], targetError: Double = 0,
        model: LlavaMini
    ) throws {
        self.questions = questions
        self.source = source
        self.frames = model.fusion.fusesText ? frames : []
        fusesText = model.fusion.fusesText
        self.targetError = targetError
        group = try PromptGroup(questions.map(\.prompt.ids), model: model)
        tokens = VisionTokenReader(source, model: model)
    }

    /// IDs common to all prompts, up to and including the image placeholder.
    var sharedIDs: [Int32] { questions.first.map { Array($0.prompt.ids.prefix(group.sharedIDs)) } ?? [] }

    /// Rows that the longest prompt and its answer add to the vision tokens.
    var answerRows: Int { questions.map { $0.prompt.ids.count + $0.question.maxTokens }.max() ?? 0 }

    /// How many frames a question's text has been fused with, and the error of their mean.
    func summary(of index: Int) -> FusionSummary {
        FusionSummary(
            frames: group.texts[index].frameCount, of: source.times.count,
            relativeStandardError: fusesText
                ? group.texts[index].relativeStandardError(population: source.times.count) : 0)
    }

    /// A question's input of the language model.
    func fusedPrompt(_ index: Int) -> FusedPrompt {
        FusedPrompt(text: group.texts[index], visionTokens: tokens.count, readTokens: tokens.read)
    }
}
