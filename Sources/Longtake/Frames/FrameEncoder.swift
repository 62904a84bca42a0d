internal import Checkpoints
internal import Media
internal import Models
internal import Tensors

/// The model's outputs for a frame, all f32, valid until the encoder's next batch.
struct EncodedFrame {
    /// Vision tokens [C2, H].
    let token: MatrixView
    /// Patches [R, D].
    let patches: MatrixView
    /// Embedding [1, E] with norm 1; nil if the model has no embeddings.
    let embedding: MatrixView?
    /// True if these are the outputs of an earlier frame.
    let isReused: Bool
}

/// The compute half of the streaming stage: turns batches of frames into patches, vision tokens and embeddings.
///
/// Frames are computed in batches, so that each weight read from memory is used for about two thousand rows. A frame
/// that did not change is not computed again.
final class FrameEncoder {
    let batchSize: Int
    private let model: LlavaMini
    private let preprocessing: ImagePreprocessing
    private let patchBuffer: Buffer<Float>
    private let lastPatches: Buffer<Float>
    private let lastTokens: Buffer<Float>
    private let embeddingBuffer: Buffer<Float>
    private let lastEmbedding: Buffer<Float>
    private let tokenBuffer: Buffer<Float>

    convenience init(_ loaded: LoadedModel) { self.init(loaded.llava, loaded.preprocessing) }

    init(_ model: LlavaMini, _ preprocessing: ImagePreprocessing) {
        self.model = model
        self.preprocessing = preprocessing
        batchSize = Self.batchSize(rows: model.patchRows)
        patchBuffer = Buffer(count: batchSize * model.patchRows * model.vision.hiddenSize)
        lastPatches = Buffer(count: model.patchRows * model.vision.hiddenSize)
        lastTokens = Buffer(count: model.fusion.tokensPerFrame * model.hiddenSize)
        embeddingBuffer = Buffer(count: batchSize * (model.embeddingSize ?? 0))
        lastEmbedding = Buffer(count: model.embeddingSize ?? 0)
        tokenBuffer = Buffer(count: batchSize * model.fusion.tokensPerFrame * model.hiddenSize)
    }

    /// Returns the frames per batch: 4 of 576 patches, more of smaller frames, 1 at high resolution.
    static func batchSize(rows: Int) -> Int { max(1, min(32, 2304 / max(rows, 1))) }

    /// Encodes at most `batchSize` frames, each with parts · side · side RGB pixels.
    ///
    /// - Parameters:
    ///   - isNew: false for a frame that gets the outputs of the last one that was computed; called once per frame, in
    ///     order. True for the first frame of all.
    ///   - each: gets each frame and its outputs, in order.
    /// - Throws: `ModelError` `not_a_number` for a frame without an embedding, and errors thrown by `each`.
    func encode(
        _ batch: ArraySlice<Frame>, isNew: (Frame) -> Bool = { _ in true },
        each: (Frame, EncodedFrame) throws -> Void
    ) throws {
        guard !batch.isEmpty else { return }
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        // For each frame its index among the computed frames, -1 for the last frame of the previous call.
        var slots: [Int] = []
        var computed: [Frame] = []
        var reused: [Bool] = []
        for frame in batch {
            let isNew = isNew(frame)
            if isNew { computed.append(frame) }
            slots.append(computed.count - 1)
            reused.append(!isNew)
        }
        let patches = MatrixView(patchBuffer.pointer, rows: computed.count * rows, columns: width)
        let perFrame = model.fusion.tokensPerFrame
        let lastToken = MatrixView(lastTokens.pointer, rows: perFrame, columns: model.hiddenSize)
        let lastPatch = MatrixView(lastPatches.pointer, rows: rows, columns: width)
        let embeddings = model.embeddingSize.map {
            MatrixView(embeddingBuffer.pointer, rows: computed.count, columns: $0)
        }
        let lastRow = model.embeddingSize.map { MatrixView(lastEmbedding.pointer, rows: 1, columns: $0) }
        let tokens = try computed.isEmpty ? lastToken : compute(computed, into: patches, embeddings: embeddings)
        func output(_ slot: Int, isReused: Bool = false) -> EncodedFrame {
            EncodedFrame(
                token: tokens.rows(slot * perFrame..<(slot + 1) * perFrame),
                patches: patches.rows(slot * rows..<(slot + 1) * rows),
                embedding: embeddings?.rows(slot..<slot + 1), isReused: isReused)
        }
        for (frame, (slot, isReused)) in zip(batch, zip(slots, reused)) {
            try each(
                frame,
                slot < 0
                    ? EncodedFrame(token: lastToken, patches: lastPatch, embedding: lastRow, isReused: true)
                    : output(slot, isReused: isReused))
        }
        guard let slot = slots.last, slot >= 0 else { return }
        let kept = output(slot)
        model.compute.convert(kept.token, into: lastToken)
        model.compute.convert(kept.patches, into: lastPatch)
        if let embedding = kept.embedding, let lastRow { model.compute.convert(embedding, into: lastRow) }
    }

    /// Computes the frames' patches and embeddings; returns their vision tokens [frames · C2, H] f32.
    ///
    /// The tokens are valid until the next call. If a product's rows depend on the number of rows, frames are computed
    /// one by one: a resumed run has other batches than one that started at 0 and must write the same bytes.
    private func compute(_ frames: [Frame], into patches: MatrixView, embeddings: MatrixView?) throws -> MatrixView {
        guard !model.compute.rowsAreIndependent else {
            return try computeTogether(frames, into: patches, embeddings: embeddings)
        }
        let (rows, perFrame) = (model.patchRows, model.fusion.tokensPerFrame)
        let tokens = MatrixView(tokenBuffer.pointer, rows: frames.count * perFrame, columns: model.hiddenSize)
        for (index, frame) in frames.enumerated() {
            let token = try computeTogether(
                [frame], into: patches.rows(index * rows..<(index + 1) * rows),
                embeddings: embeddings?.rows(index..<index + 1))
            model.compute.convert(token, into: tokens.rows(index * perFrame..<(index + 1) * perFrame))
        }
        return tokens
    }

    private func computeTogether(_ frames: [Frame], into patches: MatrixView, embeddings: MatrixView?) throws
        -> MatrixView
    {
        try computePatches(frames, into: patches, embeddings: embeddings)
        return model.fuse(patches: patches, frames: frames.count, text: nil)
    }

    /// The patches [R, D] of one frame, without its vision token; valid until the next call.
    func patches(of frame: Frame) throws -> MatrixView {
        let patches = MatrixView(patchBuffer.pointer, rows: model.patchRows, columns: model.vision.hiddenSize)
        try computePatches([frame], into: patches, embeddings: nil)
        return patches
    }

    private func computePatches(_ frames: [Frame], into patches: MatrixView, embeddings: MatrixView?) throws {
        let parts = model.fusion.partCount
        let imageBytes = 3 * model.vision.imageSize * model.vision.imageSize
        func patchify(_ image: Int, _ out: MatrixView) {
            frames[image / parts].rgb.withUnsafeBufferPointer { rgb in
                precondition(rgb.count == parts * imageBytes, "a frame of \(rgb.count) bytes")
                guard let base = rgb.baseAddress else { return }
                model.compute.patchify(
                    rgb: base + image % parts * imageBytes, grid: model.vision.gridSize,
                    patch: model.vision.patchSize, mean: preprocessing.mean, std: preprocessing.std, into: out)
            }
        }
        if let embeddings {
            try model.patches(frames: frames.count, into: patches, embeddings: embeddings, patchify: patchify)
        } else {
            model.patches(frames: frames.count, into: patches, patchify: patchify)
        }
    }
}
