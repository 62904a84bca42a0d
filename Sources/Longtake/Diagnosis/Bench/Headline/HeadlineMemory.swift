internal import Checkpoints
internal import Models

/// Bytes that a question about a recording needs, everything in 16 bits.
struct HeadlineMemory: Sendable {
    /// The memory that the longest video must fit in.
    static let limit: Int64 = 24 << 30

    /// All weights.
    let weights: Int64
    /// A frame of Longtake's: keys and values of its vision tokens.
    let frame: Int64
    /// The same with keys and values in int8, each head of 4 more bytes.
    let int8Frame: Int64
    /// A frame of the reference's: as `frame`, and its pixels, which stay in memory.
    let referenceFrame: Int64
    /// A frame's record in the index on the disk.
    let record: Int64
    /// What does not grow with the recording: keys and values of the fusion frames, and activations.
    let constant: Int64
    private let tokens: Int

    init(_ model: HeadlineModel) {
        let (language, fusion, vision) = model.parts
        weights = Int64(model.sizes.bytes)
        tokens = fusion.tokensPerFrame
        let token = model.sizes.keyValueBytesPerToken ?? 0
        frame = Int64(tokens * token)
        int8Frame = Int64(tokens * (token / 2 + 2 * language.layerCount * language.keyValueHeadCount * 4))
        referenceFrame = frame + Int64(fusion.partCount * 3 * vision.imageSize * vision.imageSize * 2)
        record = Int64(model.sizes.frameRecordBytes ?? 0)
        let rows = fusion.partCount * vision.patchCount + fusion.tokensPerFrame + HeadlineModel.text.before
        let keyWidth = language.keyValueHeadCount * language.headSize
        let fusionState = HeadlineModel.sample * fusion.prefusionLayerCount * 2 * rows * keyWidth * 2
        // As `question_memory_bytes` of a plan: a slice of the prompt, or a batch of frames, in the widths of a layer.
        let active = max(LanguageModel.sliceLength, fusion.fusesText ? 4 * rows : 0)
        let width =
            2 * language.hiddenSize * 4
            + 2 * (language.hiddenSize + 2 * language.headCount * language.headSize + 2 * language.intermediateSize)
        constant = Int64(fusionState + active * width + language.vocabularySize * 4)
    }

    /// Bytes of a question about `frames` frames.
    func bytes(frames: Int) -> Int64 { weights + constant + Int64(frames) * frame }

    /// The same for the reference; its activations are not counted.
    func referenceBytes(frames: Int) -> Int64 { weights + Int64(frames) * referenceFrame }

    /// The most frames within the limit.
    var longest: Int { Self.most(weights + constant, frame) }
    /// The same with keys and values in int8.
    var longestInt8: Int { Self.most(weights + constant, int8Frame) }
    /// The most frames of the reference within the limit.
    var referenceLongest: Int { Self.most(weights, referenceFrame) }

    private static func most(_ fixed: Int64, _ perFrame: Int64) -> Int {
        Int(max(0, limit - fixed) / max(1, perFrame))
    }
}
