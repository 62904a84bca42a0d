public import Checkpoints
public import Tensors

/// LLaVA-Mini: frames become patches, patches one vision token each, and the prompt's text is fused with them.
///
/// Letters: B frames, parts pictures per frame (1, or n·n crops and the whole), P patches per picture, D vision width,
/// H language width, C2 vision tokens per frame, A visible text rows.
/// Source: arXiv 2501.03895; docs/model.md, sections 1 to 8.
public final class LlavaMini {
    public let vision: VisionConfig
    public let fusion: FusionConfig
    public let language: LanguageModel
    public let compute: Compute
    private let tower: VisionTower
    private let compressor: Compressor
    private let projector: Projector
    private let prefusion: PreFusion
    private let rasterOrder: [Int]
    private let raster = Scratch()
    private let projected = Scratch()
    private let sequence = Scratch()
    private let tailRows = Scratch()

    /// - Parameters:
    ///   - weights: a reader at the checkpoint's root.
    ///   - tower: a reader under the tower's `vision_model.`.
    ///   - embedding: a reader under its `visual_projection.`, where frames are to be embedded too.
    public init(
        _ weights: WeightReader, tower: WeightReader, embedding: WeightReader? = nil, language: LanguageConfig,
        vision: VisionConfig, fusion: FusionConfig
    ) throws {
        compute = weights.compute
        self.vision = vision
        self.fusion = fusion
        // hidden_states[select]: 0 is the embeddings, so −2 is what comes out of the last layer but one.
        let layerCount = vision.layerCount + 1 + fusion.visionSelectLayer
        guard fusion.visionSelectLayer < 0, layerCount >= 0 else {
            throw ModelError(
                code: .unsupported,
                message:
                    "mm_vision_select_layer \(fusion.visionSelectLayer) of a tower of \(counted(vision.layerCount, "layer"))"
            )
        }
        self.tower = try VisionTower(tower, config: vision, layerCount: layerCount, projection: embedding)
        compressor = try Compressor(weights.under("model.compressor."), config: fusion)
        projector = try Projector(
            weights.under("model.mm_projector."), config: fusion, visionWidth: vision.hiddenSize,
            languageWidth: language.hiddenSize)
        prefusion = try PreFusion(weights, config: language, layerCount: fusion.prefusionLayerCount)
        self.language = try LanguageModel(weights, config: language)
        rasterOrder = Self.rasterOrder(ratio: fusion.resolutionRatio, grid: vision.gridSize)
    }

    /// Rows of a frame's patches: parts · P.
    public var patchRows: Int { fusion.partCount * vision.patchCount }
    public var hiddenSize: Int { language.config.hiddenSize }
    /// Numbers in a frame's embedding, E; nil where the model makes none.
    public var embeddingSize: Int? { tower.embeddingSize }

    /// Where crop features in part order [crop row, crop column, row, column] go in the raster of n·g × n·g.
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

    /// The patches of B frames: hidden state −2 without the class row, written to `out` [B · parts · P, D] f32.
    ///
    /// - Parameter patchify: writes the patch matrix [P, 3·p·p] of picture i (frame-major, then part; the whole last).
    /// - Returns: the encoder's own rows, classes included, valid until the next call.
    @discardableResult
    public func patches(frames: Int, into out: MatrixView, patchify: (_ picture: Int, _ patches: MatrixView) -> Void)
        -> MatrixView
    {
        let pictures = frames * fusion.partCount
        let hidden = tower.forward(pictures: pictures, patchify: patchify)
        for picture in 0..<pictures {
            let first = picture * (1 + vision.patchCount) + 1
            let source = hidden.rows(first..<first + vision.patchCount)
            let target = out.rows(picture * vision.patchCount..<(picture + 1) * vision.patchCount)
            target.floats.update(from: source.floats, count: vision.patchCount * vision.hiddenSize)
        }
        return hidden
    }

    /// The patches of B frames, and the embeddings of the whole pictures [B, E] from the same pass of the encoder.
    ///
    /// - Throws: `ModelError` `not_a_number` for a picture without an embedding.
    public func patches(
        frames: Int, into out: MatrixView, embeddings: MatrixView,
        patchify: (_ picture: Int, _ patches: MatrixView) -> Void
    ) throws {
        let hidden = patches(frames: frames, into: out, patchify: patchify)
        let parts = fusion.partCount
        try tower.embed(hidden, pictures: frames * parts, every: parts, into: embeddings)
    }

    /// The vision tokens of B frames, and the text's beginning fused with each of them, from their patches.
    ///
    /// The tokens do not depend on the text (it comes after them under a causal mask).
    /// - Parameters:
    ///   - patches: [B · parts · P, D] f32.
    ///   - text: embeddings of visible prompt rows [A, H], or nil when only tokens are wanted.
    ///   - keep: gets what `follow` needs to go on behind these frames; its head has A rows.
    /// - Returns: tokens [B · C2, H] and fused text [B · A, H] interleaved per frame: rows [B · (C2 + A), H], each
    ///   frame's tokens first. Valid until the next call.
    public func fuse(
        patches: MatrixView, frames: Int, text: MatrixView?, keep: PreFusionCache? = nil, trace: Trace? = nil
    ) -> MatrixView {
        let (width, tokens) = (hiddenSize, fusion.tokensPerFrame)
        let active = tokens + (text?.rows ?? 0)
        let length = patchRows + active
        let x = sequence.block(.f32, rows: frames * length, columns: width)
        for frame in 0..<frames {
            let own = patches.rows(frame * patchRows..<(frame + 1) * patchRows)
            let rows = x.rows(frame * length..<(frame + 1) * length)
            let visual = rows.rows(0..<patchRows)
            if rasterOrder.isEmpty {
                projector.project(own, into: visual)
                trace?("projected_global", visual)
            } else {
                projectParts(own, into: visual, trace: trace)
            }
            let compressed = compressor.compress(rasterOrder.isEmpty ? own : rasterised(own), trace: trace)
            let slot = rows.rows(patchRows..<patchRows + tokens)
            projector.project(compressed, into: slot)
            trace?("projected_compressed", slot)
            if let text {
                rows.rows(patchRows + tokens..<length).floats.update(from: text.floats, count: text.rows * width)
            }
        }
        trace?("prefusion_input", x)
        let layerTrace = trace.map { trace in
            { (layer: Int, rows: MatrixView) in
                let count = rows.rows / frames
                for frame in 0..<frames {
                    let end = (frame + 1) * count
                    trace("prefusion_layer\(layer)_compressed", rows.rows(end - active..<end - active + tokens))
                    trace("prefusion_layer\(layer)_text", rows.rows(end - active + tokens..<end))
                }
            }
        }
        return prefusion.forward(x, frames: frames, active: active, keep: keep, trace: layerTrace)
    }

    /// Fuses texts with known frames, behind what is known of them.
    ///
    /// - Parameter tails: how prompts go on, each [T, H].
    ///   - frames: which of the known ones, B.
    /// - Returns: each tail's fused rows [B · T, H]; valid until the next call.
    public func follow(_ tails: [MatrixView], behind known: PreFusionCache, frames: [Int]) -> [MatrixView] {
        let copies = spread(tails, frames: frames.count)
        prefusion.follow(copies, behind: known, frames: frames)
        return copies
    }

    /// Each tail [T, H] once per frame: [B · T, H].
    private func spread(_ tails: [MatrixView], frames: Int) -> [MatrixView] {
        let all = tailRows.block(.f32, rows: frames * tails.reduce(0) { $0 + $1.rows }, columns: hiddenSize)
        var first = 0
        return tails.map { tail in
            let copies = all.rows(first..<first + frames * tail.rows)
            for frame in 0..<frames {
                copies.rows(frame * tail.rows..<(frame + 1) * tail.rows).floats.update(
                    from: tail.floats, count: tail.rows * hiddenSize)
            }
            first += frames * tail.rows
            return copies
        }
    }

    /// High resolution: the crops' projected patches in raster order, then the whole picture's.
    private func projectParts(_ patches: MatrixView, into visual: MatrixView, trace: Trace?) {
        let rows = projected.block(.f32, rows: patchRows, columns: hiddenSize)
        projector.project(patches, into: rows)
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

    /// High resolution: the compressor sees the crops only, as one raster.
    private func rasterised(_ patches: MatrixView) -> MatrixView {
        let out = raster.block(.f32, rows: rasterOrder.count, columns: vision.hiddenSize)
        for (target, source) in rasterOrder.enumerated() {
            out.row(target).copyMemory(from: patches.row(source), byteCount: vision.hiddenSize * 4)
        }
        return out
    }
}
