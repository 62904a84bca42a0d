public import Checkpoints
public import Tensors

/// LLaVA-Mini: turns frames into patches, patches into vision tokens, and fuses the prompt's text with them.
///
/// LLaVA-v1.5 is the same without compressor and pre-fusion: its vision tokens are the projected patches, and the text
/// stays as it is.
///
/// Letters: B frames, parts images per frame (1, or n·n crops and the whole), P patches per image, D vision width, H
/// language width, C2 vision tokens per frame, A text rows, T rows of a prompt's suffix, E embedding size. Source: arXiv
/// 2501.03895; docs/model.md, sections 1 to 8.
public final class LlavaMini {
    /// The vision tower's shape.
    public let vision: VisionConfig
    /// The shape of the compressor, projector and pre-fusion.
    public let fusion: FusionConfig
    /// The language model, which answers the fused prompt.
    public let language: LanguageModel
    /// The compute context that all parts share.
    public let compute: Compute
    private let tower: VisionTower
    private let compressor: Compressor?  // model.compressor; nil for LLaVA-v1.5
    private let projector: Projector  // model.mm_projector
    private let preFusion: PreFusion  // model.prefusion_layers
    private let rasterOrder: [Int]  // raster position → row in part order; empty for n = 1
    private let raster = Scratch()  // [n²·P, D]
    private let projected = Scratch()  // [parts · P, H]
    private let sequence = Scratch()  // [B · (parts · P + C2 + A), H]
    private let suffixRows = Scratch()  // [B · T of all suffixes, H]

    /// Loads all parts of the model.
    ///
    /// - Parameters:
    ///   - weights: a reader at the checkpoint's root.
    ///   - tower: a reader below the tower's `vision_model.`.
    ///   - embedding: a reader below its `visual_projection.`, to compute frame embeddings too.
    ///   - keyValues: element type of the language model's cached keys and values; nil: the compute precision.
    /// - Throws: `ModelError` for a missing tensor, a wrong shape or an unsupported configuration.
    public init(
        _ weights: WeightReader, tower: WeightReader, embedding: WeightReader? = nil, language: LanguageConfig,
        vision: VisionConfig, fusion: FusionConfig, keyValues: DType? = nil
    ) throws {
        compute = weights.compute
        self.vision = vision
        self.fusion = fusion
        // hidden_states[0] is the embeddings, so −2 is the output of the last layer but one.
        let layerCount = vision.layerCount + 1 + fusion.visionSelectLayer
        guard fusion.visionSelectLayer < 0, layerCount >= 0 else {
            throw ModelError(
                code: .unsupported,
                message:
                    "mm_vision_select_layer \(fusion.visionSelectLayer) of a tower of \(counted(vision.layerCount, "layer"))"
            )
        }
        self.tower = try VisionTower(tower, config: vision, layerCount: layerCount, projection: embedding)
        compressor =
            try fusion.hasCompressor ? Compressor(weights.under(TensorName.compressor), config: fusion) : nil
        projector = try Projector(
            weights.under(TensorName.projector), config: fusion, visionWidth: vision.hiddenSize,
            languageWidth: language.hiddenSize)
        preFusion = try PreFusion(weights, config: language, layerCount: fusion.prefusionLayerCount)
        self.language = try LanguageModel(weights, config: language, keyValues: keyValues)
        rasterOrder = Self.rasterOrder(ratio: fusion.resolutionRatio, grid: vision.gridSize)
    }

    /// Patch rows per frame: parts · P.
    public var patchRows: Int { fusion.partCount * vision.patchCount }
    /// Rows of a frame before its vision tokens in pre-fusion: its projected patches, none without a compressor.
    var visualRows: Int { compressor == nil ? 0 : patchRows }
    /// The language width, H.
    public var hiddenSize: Int { language.config.hiddenSize }
    /// Elements of a frame's embedding, E; nil if the model has none.
    public var embeddingSize: Int? { tower.embeddingSize }

    /// For each row of the raster n·g × n·g, its index in part order [crop row, crop column, row, column].
    private static func rasterOrder(ratio n: Int, grid g: Int) -> [Int] {
        guard n > 1 else { return [] }
        var order: [Int] = []
        for row in 0..<n * g {
            for column in 0..<n * g {
                order.append((((row / g) * n + column / g) * g + row % g) * g + column % g)
            }
        }
        return order
    }

    /// Computes the patches of B frames into `out` [B · parts · P, D] f32: hidden state −2 without class rows.
    ///
    /// - Parameter patchify: writes the patch matrix [P, 3·p·p] of image i (frame-major, then part; the whole image
    ///   last).
    /// - Returns: the encoder's rows with class rows [B · parts · (1+P), D], valid until the next call.
    @discardableResult
    public func patches(frames: Int, into out: MatrixView, patchify: (_ image: Int, _ patches: MatrixView) -> Void)
        -> MatrixView
    {
        let images = frames * fusion.partCount
        let hidden = tower.forward(images: images, patchify: patchify)
        for image in 0..<images {
            let first = image * (1 + vision.patchCount) + 1
            let source = hidden.rows(first..<first + vision.patchCount)  // [P, D]
            let target = out.rows(image * vision.patchCount..<(image + 1) * vision.patchCount)
            target.floats.update(from: source.floats, count: vision.patchCount * vision.hiddenSize)
        }
        return hidden
    }

    /// Computes the patches of B frames and, in the same encoder pass, the whole images' embeddings [B, E].
    ///
    /// - Throws: `ModelError` `not_a_number` for an image without an embedding.
    public func patches(
        frames: Int, into out: MatrixView, embeddings: MatrixView,
        patchify: (_ image: Int, _ patches: MatrixView) -> Void
    ) throws {
        let hidden = patches(frames: frames, into: out, patchify: patchify)
        let parts = fusion.partCount
        try tower.embed(hidden, images: frames * parts, every: parts, into: embeddings)
    }

    /// Computes the vision tokens of B frames from their patches, and the text's prefix fused with each frame.
    ///
    /// The tokens do not depend on the text, which follows them under a causal mask.
    /// - Parameters:
    ///   - patches: [B · parts · P, D] f32.
    ///   - text: embeddings of text rows [A, H]; nil to compute only tokens.
    ///   - cache: receives what `extend` needs to continue after these frames; its prefix has A rows.
    /// - Returns: [B · (C2 + A), H] f32, per frame its tokens [C2, H], then its fused text [A, H]. Valid until the next
    ///   call.
    public func fuse(
        patches: MatrixView, frames: Int, text: MatrixView?, cache: PreFusionCache? = nil, trace: Trace? = nil
    ) -> MatrixView {
        let (width, tokens) = (hiddenSize, fusion.tokensPerFrame)
        let returned = tokens + (text?.rows ?? 0)
        let length = visualRows + returned
        let x = sequence.matrix(.f32, rows: frames * length, columns: width)  // [B · (parts · P + C2 + A), H]
        for frame in 0..<frames {
            let framePatches = patches.rows(frame * patchRows..<(frame + 1) * patchRows)
            let rows = x.rows(frame * length..<(frame + 1) * length)
            let slot = rows.rows(visualRows..<visualRows + tokens)  // [C2, H]
            if let compressor {
                let visual = rows.rows(0..<visualRows)  // [parts · P, H]
                if rasterOrder.isEmpty {
                    compute.timed(.projector) { projector(framePatches, into: visual) }
                    trace?("projected_global", visual)
                } else {
                    compute.timed(.projector) { projectParts(framePatches, into: visual, trace: trace) }
                }
                let compressed = compute.timed(.compressor) {
                    compressor(rasterOrder.isEmpty ? framePatches : rasterized(framePatches), trace: trace)
                }
                compute.timed(.projector) { projector(compressed, into: slot) }
                trace?("projected_compressed", slot)
            } else {
                compute.timed(.projector) { projector(framePatches, into: slot) }
                trace?("projected_global", slot)
            }
            if let text {
                rows.rows(visualRows + tokens..<length).floats.update(from: text.floats, count: text.rows * width)
            }
        }
        trace?("prefusion_input", x)
        let layerTrace = trace.map { trace in
            { (layer: Int, rows: MatrixView) in
                let count = rows.rows / frames
                for frame in 0..<frames {
                    let end = (frame + 1) * count
                    trace("prefusion_layer\(layer)_compressed", rows.rows(end - returned..<end - returned + tokens))
                    trace("prefusion_layer\(layer)_text", rows.rows(end - returned + tokens..<end))
                }
            }
        }
        return preFusion.forward(x, frames: frames, returning: returned, cache: cache, trace: layerTrace)
    }

    /// The compressor's attention over the keys of one frame, the mean over its heads.
    ///
    /// - Parameter patches: [parts · P, D] f32.
    /// - Returns: [C2, N], N keys in the order of a square raster: the patches, or at high resolution those of all crops.
    ///   Each row sums to 1. Empty without a compressor.
    package func compressorAttention(_ patches: MatrixView) -> [Float] {
        var weights: [Float] = []
        _ = compressor?.callAsFunction(rasterOrder.isEmpty ? patches : rasterized(patches)) { name, rows in
            guard name == "compressor_attn" else { return }
            weights = Array(UnsafeBufferPointer(start: rows.floats, count: rows.rows * rows.columns))
        }
        return weights
    }

    /// Fuses the suffixes of several prompts with cached frames.
    ///
    /// - Parameters:
    ///   - suffixes: the rows of each prompt after the shared prefix, [T, H] f32.
    ///   - cache: the cache of the frames and the prompts' prefix.
    ///   - frames: indices of B frames in the cache.
    /// - Returns: the fused rows of each suffix, [B · T, H]; valid until the next call.
    public func extend(_ suffixes: [MatrixView], after cache: PreFusionCache, frames: [Int]) -> [MatrixView] {
        let copies = repeated(suffixes, frames: frames.count)
        preFusion.extend(copies, after: cache, frames: frames)
        return copies
    }

    /// Copies each suffix [T, H] once per frame: [B · T, H].
    private func repeated(_ suffixes: [MatrixView], frames: Int) -> [MatrixView] {
        let all = suffixRows.matrix(.f32, rows: frames * suffixes.reduce(0) { $0 + $1.rows }, columns: hiddenSize)
        var first = 0
        return suffixes.map { suffix in
            let copies = all.rows(first..<first + frames * suffix.rows)
            for frame in 0..<frames {
                copies.rows(frame * suffix.rows..<(frame + 1) * suffix.rows).floats.update(
                    from: suffix.floats, count: suffix.rows * hiddenSize)
            }
            first += frames * suffix.rows
            return copies
        }
    }

    /// High resolution: projects the crops' patches in raster order, then those of the whole image, into `visual`
    /// [parts · P, H].
    private func projectParts(_ patches: MatrixView, into visual: MatrixView, trace: Trace?) {
        let rows = projected.matrix(.f32, rows: patchRows, columns: hiddenSize)  // [parts · P, H]
        projector(patches, into: rows)
        let crops = rasterOrder.count
        trace?("projected_parts_in_part_order", rows.rows(0..<crops))
        trace?("projected_global", rows.rows(crops..<patchRows))
        for (target, source) in rasterOrder.enumerated() {
            visual.row(target).copyMemory(from: rows.row(source), byteCount: hiddenSize * 4)
        }
        for row in crops..<patchRows {
            visual.row(row).copyMemory(from: rows.row(row), byteCount: hiddenSize * 4)
        }
    }

    /// High resolution: the crops' patches as one raster [n²·P, D], the compressor's input.
    private func rasterized(_ patches: MatrixView) -> MatrixView {
        let out = raster.matrix(.f32, rows: rasterOrder.count, columns: vision.hiddenSize)  // [n²·P, D]
        for (target, source) in rasterOrder.enumerated() {
            out.row(target).copyMemory(from: patches.row(source), byteCount: vision.hiddenSize * 4)
        }
        return out
    }
}
