/// Operations from frames and a question to the first token of an answer, as `ModelCost` counts them: as Longtake
/// computes it, and as the reference does.
///
/// Letters: N frames, T text tokens. With a sample, the question's text is fused with that many frames only.
package struct AnswerCost: Sendable {
    private let language: LanguageConfig
    private let fusion: FusionConfig
    private let vision: VisionConfig
    /// Tokens of the prompt before the frames.
    package let headTokens: Int
    /// Tokens of the prompt after the frames.
    package let questionTokens: Int

    /// The cost of a question to a model of this shape.
    package init(
        language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig, headTokens: Int, questionTokens: Int
    ) {
        (self.language, self.fusion, self.vision) = (language, fusion, vision)
        (self.headTokens, self.questionTokens) = (headTokens, questionTokens)
    }

    /// Tokens of the prompt's text, T.
    private var textTokens: Int { headTokens + questionTokens }
    /// Rows of a frame before the text in pre-fusion.
    private var frameRows: Int { fusion.partCount * vision.patchCount + fusion.tokensPerFrame }

    /// Positions of the language model: N frames' vision tokens and the text.
    package func positions(frames: Int) -> Int { frames * fusion.tokensPerFrame + textTokens }

    /// From pixels to vision tokens, one frame: the tower up to the selected layer, and only keys and values of the
    /// patches in the last pre-fusion layer.
    package var frame: Double {
        ModelCost.FrameWork(language, fusion, vision, promptHeadTokens: headTokens).indexTotal
    }

    /// The text through pre-fusion after one frame, all rows through all layers.
    package func text(rows: Int, after head: Int = 0) -> Double {
        guard fusion.fusesText else { return 0 }
        return Double(fusion.prefusionLayerCount)
            * DecoderLayerWork(language).whole(rows: rows, after: frameRows + head)
    }

    /// The first question: frames, fusion, and the whole prompt through the language model.
    ///
    /// - Parameter sample: frames that the text is fused with; nil: all.
    package func first(frames: Int, sample: Int? = nil) -> Double {
        Double(frames) * frame + prompt(frames: frames, sample: sample)
    }

    /// `first` without the frames: those are indexed.
    package func prompt(frames: Int, sample: Int? = nil) -> Double {
        Double(min(frames, sample ?? frames)) * text(rows: textTokens)
            + language.layerWork(rows: positions(frames: frames), after: 0) + language.headWork
    }

    /// A further question about the same frames: its own tokens only.
    package func again(frames: Int, sample: Int? = nil) -> Double {
        againFusion(frames: frames, sample: sample)
            + language.layerWork(rows: questionTokens, after: positions(frames: frames) - questionTokens)
            + language.headWork
    }

    /// The part of `again` that is fusion.
    package func againFusion(frames: Int, sample: Int? = nil) -> Double {
        Double(min(frames, sample ?? frames)) * text(rows: questionTokens, after: headTokens)
    }

    /// Any question as the reference computes it: everything, each time.
    ///
    /// All layers of the tower, all rows of all pre-fusion layers with the text after every frame, all positions through
    /// all layers, and the output head for one position.
    package func reference(frames: Int) -> Double {
        Double(frames) * referenceFrame
            + Double(language.layerCount)
            * DecoderLayerWork(language).whole(rows: positions(frames: frames), after: 0) + language.headWork
    }

    /// One frame of `reference`: tower, compressor, projector, pre-fusion with the text.
    package var referenceFrame: Double {
        let rows = fusion.partCount * vision.patchCount
        let fused =
            fusion.fusesText
            ? Double(fusion.prefusionLayerCount)
                * DecoderLayerWork(language).whole(rows: frameRows + textTokens, after: 0) : 0
        return ModelCost.encoder(vision, fusion, layers: vision.layerCount) + ModelCost.compressor(vision, fusion)
            + ModelCost.projector(
                language, fusion, rows: fusion.hasCompressor ? rows + fusion.tokensPerFrame : rows) + fused
    }
}
