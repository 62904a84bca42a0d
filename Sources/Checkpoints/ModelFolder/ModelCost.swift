import Tensors

/// The cost of a model in parameters, bytes and floating-point operations, computed from its configuration.
///
/// A product of an [m, k] and a [k, n] matrix counts as 2·m·k·n operations; causal attention counts as half of its
/// square. Norms, activations and the rotary embedding are omitted: together they are below one percent.
public struct ModelCost: Sendable, Equatable, Codable {
    /// The size of one part of the model.
    public struct Part: Sendable, Equatable, Codable {
        /// The part.
        public let part: ModelPart
        /// Number of parameters.
        public let parameters: Int
        /// Bytes as stored in the checkpoint.
        public let bytes: Int
    }

    /// Operations per frame at index time.
    public struct FrameWork: Sendable, Equatable, Codable {
        /// The vision tower, up to the selected layer.
        public let encoder: Double
        /// The compressor.
        public let compressor: Double
        /// The projector.
        public let projector: Double
        /// [patches | compressed] through all layers; in the last one the patches give only K and V.
        public let prefusion: Double
        /// The prompt's fixed beginning through the pre-fusion layers, without its attention.
        public let promptHead: Double
        /// The operations of indexing: the prompt's beginning is computed with the first question.
        public var indexTotal: Double { encoder + compressor + projector + prefusion }
        /// All operations, the prompt's beginning included.
        public var total: Double { encoder + compressor + projector + prefusion + promptHead }

        enum CodingKeys: String, CodingKey {
            case encoder, compressor, projector, prefusion
            case promptHead = "prompt_head"
        }
    }

    /// Bytes of memory for the weights by compute precision; the embedding table stays in the mapping and is not
    /// counted.
    public struct LoadBytes: Sendable, Equatable, Codable {
        /// In f32.
        public let f32: Int64
        /// In bf16.
        public let bf16: Int64
        /// All matrices in int8, with their scales.
        public let int8: Int64
        /// The language model in int4 in groups of 32, everything else in int8.
        public let int4: Int64
    }

    /// The parts that the checkpoint has.
    public let parts: [Part]
    /// Parameters in all parts.
    public let parameters: Int
    /// Bytes of all parts as stored.
    public let bytes: Int
    /// Memory for the weights.
    public let loadBytes: LoadBytes
    /// Operations per frame; nil unless the model is a LLaVA-Mini, like all values below but `keyValueBytesPerToken`.
    public let frame: FrameWork?
    /// Bytes of a frame's vision tokens in bf16.
    public let frameTokenBytes: Int?
    /// Bytes of a frame's patches in int8, with a 4-byte scale per row.
    public let framePatchBytes: Int?
    /// Bytes of the whole image's embedding in int8, with a 4-byte scale; nil if the model has no embedding.
    public private(set) var frameEmbeddingBytes: Int?
    /// Bytes of a frame record: tokens, patches and embedding.
    public var frameRecordBytes: Int? {
        guard let frameTokenBytes, let framePatchBytes else { return nil }
        return frameTokenBytes + framePatchBytes + (frameEmbeddingBytes ?? 0)
    }
    /// Bytes of K and V of one position in all layers of the language model, in bf16; nil without a language model.
    public let keyValueBytesPerToken: Int?
    /// Bytes of K and V of a frame's [patches | compressed] in all pre-fusion layers, in bf16.
    public let prefusionKeyValueBytesPerFrame: Int?
    /// Operations of a question's own tokens through the pre-fusion layers for one frame, without attention.
    public let questionWorkPerFusionFrame: Double?
    /// Operations of a frame's vision tokens through the language model's layers, without attention.
    public let prefixWorkPerFrame: Double?
    /// Operations from one image and a question to the first token of the answer, nothing of it computed before.
    public let imageAnswerWork: Double?

    enum CodingKeys: String, CodingKey {
        case parts, parameters, bytes, frame
        case loadBytes = "load_bytes"
        case frameTokenBytes = "frame_token_bytes"
        case framePatchBytes = "frame_patch_bytes"
        case frameEmbeddingBytes = "frame_embedding_bytes"
        case keyValueBytesPerToken = "kv_bytes_per_token"
        case prefusionKeyValueBytesPerFrame = "prefusion_kv_bytes_per_frame"
        case questionWorkPerFusionFrame = "question_flop_per_fusion_frame"
        case prefixWorkPerFrame = "prefix_flop_per_frame"
        case imageAnswerWork = "image_answer_flop"
    }

    /// The cost of a checkpoint as stored.
    ///
    /// `promptHeadTokens` and `questionTokens` default to typical lengths at full size.
    public init(_ checkpoint: CheckpointFolder, promptHeadTokens: Int = 45, questionTokens: Int = 30) {
        let stored = checkpoint.weights.tensors, tower = checkpoint.towerTensors
        let tensors = checkpoint.expectedTensors.filter { stored[$0.name] != nil || tower[$0.name] != nil }
        self.init(
            tensors: tensors, language: checkpoint.language, fusion: checkpoint.fusion, vision: checkpoint.vision,
            promptHeadTokens: promptHeadTokens, questionTokens: questionTokens
        ) { tensor in
            // A quantized matrix's scales and minima belong to it.
            [tensor.name, TensorName.scale(of: tensor.name), TensorName.minimum(of: tensor.name)].reduce(0) {
                $0 + (stored[$1]?.byteCount ?? tower[$1]?.byteCount ?? 0)
            }
        }
        frameEmbeddingBytes = checkpoint.embeddingSize.map { $0 + 4 }
    }

    /// The cost of the tensors that a configuration calls for; `bytesOf` returns each one's stored size.
    package init(
        tensors: [ExpectedTensor], language: LanguageConfig?, fusion: FusionConfig?, vision: VisionConfig?,
        promptHeadTokens: Int = 45, questionTokens: Int = 30, bytesOf: (ExpectedTensor) -> Int
    ) {
        let byPart = Dictionary(grouping: tensors, by: \.part)
        let parts = ModelPart.allCases.compactMap { part in
            byPart[part].map { list in
                Part(
                    part: part, parameters: list.reduce(0) { $0 + $1.count }, bytes: list.reduce(0) { $0 + bytesOf($1) }
                )
            }
        }
        self.parts = parts
        parameters = parts.reduce(0) { $0 + $1.parameters }
        bytes = parts.reduce(0) { $0 + $1.bytes }
        loadBytes = LoadBytes(tensors)
        let keyValueWidth = language.map { $0.keyValueHeadCount * $0.headSize } ?? 0
        keyValueBytesPerToken = language.map { $0.layerCount * 2 * keyValueWidth * 2 }
        guard let language, let fusion, let vision else {
            frame = nil
            frameTokenBytes = nil
            framePatchBytes = nil
            prefusionKeyValueBytesPerFrame = nil
            questionWorkPerFusionFrame = nil
            prefixWorkPerFrame = nil
            imageAnswerWork = nil
            return
        }
        let rows = fusion.partCount * vision.patchCount
        let layer = DecoderLayerWork(language)
        let prefusionLayers = Double(fusion.prefusionLayerCount)
        frame = FrameWork(language, fusion, vision, promptHeadTokens: promptHeadTokens)
        frameTokenBytes = fusion.tokensPerFrame * language.hiddenSize * 2
        // Without pre-fusion the patches are not stored.
        framePatchBytes = fusion.fusesText ? rows * (vision.hiddenSize + 4) : 0
        prefusionKeyValueBytesPerFrame =
            fusion.prefusionLayerCount * (rows + fusion.tokensPerFrame) * 2 * keyValueWidth * 2
        questionWorkPerFusionFrame = prefusionLayers * Double(questionTokens) * layer.perToken
        prefixWorkPerFrame = Double(language.layerCount * fusion.tokensPerFrame) * layer.perToken
        imageAnswerWork =
            AnswerCost(
                language: language, fusion: fusion, vision: vision, headTokens: promptHeadTokens,
                questionTokens: questionTokens
            ).first(frames: 1)
    }

    /// - Parameter layers: layers that run; nil: up to the selected hidden state.
    static func encoder(_ vision: VisionConfig, _ fusion: FusionConfig, layers: Int? = nil) -> Double {
        let width = Double(vision.hiddenSize), inner = Double(vision.intermediateSize)
        let rows = Double(vision.patchCount + 1)
        let layers = Double(layers ?? vision.layerCount + 1 + fusion.visionSelectLayer)
        let layer = 2 * rows * (4 * width * width + 2 * width * inner) + 4 * rows * rows * width
        let embedding = 2 * Double(vision.patchCount) * Double(3 * vision.patchSize * vision.patchSize) * width
        return Double(fusion.partCount) * (layers * layer + embedding)
    }

    static func compressor(_ vision: VisionConfig, _ fusion: FusionConfig) -> Double {
        guard fusion.hasCompressor else { return 0 }
        let width = Double(fusion.compressorWidth), queries = Double(fusion.tokensPerFrame)
        // With crops, the whole image is not among the keys. Queries are projected once, not per frame.
        let keys = Double(vision.patchCount * fusion.resolutionRatio * fusion.resolutionRatio)
        return 2 * keys * 2 * width * width + 4 * queries * keys * width + 2 * queries * width * width
    }

    static func projector(_ language: LanguageConfig, _ fusion: FusionConfig, rows: Int) -> Double {
        let width = Double(language.hiddenSize)
        let weights = Double(fusion.compressorWidth) * width + Double(fusion.projectorDepth - 1) * width * width
        return 2 * Double(rows) * weights
    }

    static func prefusion(_ layer: DecoderLayerWork, _ fusion: FusionConfig, rows: Int) -> Double {
        guard fusion.fusesText else { return 0 }
        let tokens = Double(fusion.tokensPerFrame), all = Double(rows) + tokens
        let full = all * layer.perToken + all * all / 2 * layer.perPair
        let last =
            all * layer.keysAndValues + tokens * (layer.perToken - layer.keysAndValues) + tokens * all * layer.perPair
        return Double(fusion.prefusionLayerCount - 1) * full + last
    }
}

extension ModelCost.FrameWork {
    /// The work of a frame of a model with this configuration.
    package init(_ language: LanguageConfig, _ fusion: FusionConfig, _ vision: VisionConfig, promptHeadTokens: Int) {
        let rows = fusion.partCount * vision.patchCount
        // Without a compressor the projected patches are the tokens.
        let projected = fusion.hasCompressor ? rows + fusion.tokensPerFrame : rows
        let layer = DecoderLayerWork(language)
        self.init(
            encoder: ModelCost.encoder(vision, fusion), compressor: ModelCost.compressor(vision, fusion),
            projector: ModelCost.projector(language, fusion, rows: projected),
            prefusion: ModelCost.prefusion(layer, fusion, rows: rows),
            promptHead: Double(fusion.prefusionLayerCount * promptHeadTokens) * layer.perToken)
    }
}

extension ModelCost.LoadBytes {
    fileprivate init(_ tensors: [ExpectedTensor]) {
        var f32: Int64 = 0, bf16: Int64 = 0, int8: Int64 = 0, int4: Int64 = 0
        for tensor in tensors where !tensor.isOptional && tensor.name != TensorName.tokenEmbeddings {
            let count = Int64(tensor.count)
            f32 += 4 * count
            guard tensor.shape.count >= 2 else {
                // Norms and biases stay f32 in every precision.
                bf16 += 4 * count
                int8 += 4 * count
                int4 += 4 * count
                continue
            }
            bf16 += 2 * count
            let quantized =
                tensor.shape.count == 2
                ? Int64(tensor.format(in: .int8).storedBytes(tensor.shape)) : count + 4 * Int64(tensor.shape[0])
            int8 += quantized
            int4 += tensor.part == .language ? count / 2 + count / 32 * 4 : quantized
        }
        self.init(f32: f32, bf16: bf16, int8: int8, int4: int4)
    }
}
