internal import Checkpoints

/// A model of the headline comparison: its shape and what it costs, without weights.
struct HeadlineModel: Sendable {
    /// Tokens of the prompt's text. The paper does not state its length; with 42 both of its counts come out.
    static let text = QuestionBenchmark.Text(before: 30, after: 12)
    /// Frames that a question's text is fused with, as `ask` has it for large models.
    static let sample = FusionPlan.sampleSize

    let name: String
    let parts: (language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig)
    let cost: AnswerCost
    let sizes: ModelCost

    init(_ name: String, _ parts: (language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig)) {
        self.name = name
        self.parts = parts
        cost = AnswerCost(
            language: parts.language, fusion: parts.fusion, vision: parts.vision, headTokens: Self.text.before,
            questionTokens: Self.text.after)
        let tensors =
            TensorCatalog.llavaMini(parts.language, parts.fusion)
            + TensorCatalog.vision(parts.vision, selectLayer: parts.fusion.visionSelectLayer)
        sizes = ModelCost(
            tensors: tensors, language: parts.language, fusion: parts.fusion, vision: parts.vision,
            promptHeadTokens: Self.text.before, questionTokens: Self.text.after
        ) { 2 * $0.count }
    }

    /// LLaVA-v1.5, then LLaVA-Mini on the same language model, then on Llama 3.1.
    ///
    /// - Parameter shape: one of `BenchModel.shapes`; nano has the same three at a thousandth of the size.
    static func all(shape: String) -> [HeadlineModel] {
        typealias Shape = RandomCheckpoint.Shape
        guard shape != "full" else {
            return [
                HeadlineModel("LLaVA-v1.5-7B", Shape.llava7B.parts),
                HeadlineModel("LLaVA-Mini, Vicuna 7B", Shape.llavaMini7B.parts),
                HeadlineModel("LLaVA-Mini, Llama 3.1 8B", Shape.llavaMini8B.parts),
            ]
        }
        var onVicuna = Shape.nano.parts
        onVicuna.language = Shape.llavaNano.parts.language
        return [
            HeadlineModel("LLaVA-v1.5, nano", Shape.llavaNano.parts),
            HeadlineModel("LLaVA-Mini, nano, Vicuna", onVicuna),
            HeadlineModel("LLaVA-Mini, nano, Llama", Shape.nano.parts),
        ]
    }
}
