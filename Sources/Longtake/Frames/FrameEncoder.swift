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
}

/// The compute half of the streaming stage: turns batches of frames into patches, vision tokens and embeddings.
///
/// Frames are computed in batches, so that each weight read from memory is used for about two thousand rows. A frame
/// with the same pixels as the one before it, common in slides and still scenes, is not computed again.
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
    /// The pixels of `lastPatches`, `lastTokens` and `lastEmbedding`; empty before the first frame.
    private var lastPixels: [UInt8] = []

    init(_ loaded: LoadedModel) {
        model = loaded.llava
        preprocessing = loaded.preprocessing
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

    /// Encodes the first `count` frames of `batch`, each with parts · side · side RGB pixels.
    ///
    /// - Parameters:
    ///   - isFirst: true for a frame to compute even if it equals the one before it, so that a run that starts there
    ///     writes the same bytes.
    ///   - each: gets each frame's index in the batch and its outputs.
    /// - Throws: `ModelError` `not_a_number` for a frame without an embedding, and errors thrown by `each`.
    func encode(
        _ batch: [Frame], count: Int, isFirst: (Frame) -> Bool = { _ in false },
        each: (Int, EncodedFrame) throws -> Void
    ) throws {
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        // For each frame its index among the computed frames, -1 for the last frame of the previous call.
        var places: [Int] = []
        var computed: [Int] = []
        for frame in 0..<count {
            let before = frame > 0 ? batch[frame - 1].rgb : lastPixels
            if isFirst(batch[frame]) || !isSame(batch[frame].rgb, before) { computed.append(frame) }
            places.append(computed.count - 1)
        }
        let patches = MatrixView(patchBuffer.pointer, rows: computed.count * rows, columns: width)
        let perFrame = model.fusion.tokensPerFrame
        let lastToken = MatrixView(lastTokens.pointer, rows: perFrame, columns: model.hiddenSize)
        let lastPatch = MatrixView(lastPatches.pointer, rows: rows, columns: width)
        let embeddings = model.embeddingSize.map {
            MatrixView(embeddingBuffer.pointer, rows: computed.count, columns: $0)
        }
        let lastRow = model.embeddingSize.map { MatrixView(lastEmbedding.pointer, rows: 1, columns: $0) }
        let tokens =
            try computed.isEmpty
            ? lastToken : compute(computed.map { batch[$0] }, into: patches, embeddings: embeddings)
        for (frame, place) in places.enumerated() {
            let encoded =
                place < 0
                ? EncodedFrame(token: lastToken, patches: lastPatch, embedding: lastRow)
                : EncodedFrame(
                    token: tokens.rows(place * perFrame..<(place + 1) * perFrame),
                    patches: patches.rows(place * rows..<(place + 1) * rows),
                    embedding: embeddings?.rows(place..<place + 1))
            try each(frame, encoded)
        }
        guard let place = places.last, place >= 0 else { return }
        model.compute.convert(tokens.rows(place * perFrame..<(place + 1) * perFrame), into: lastToken)
        model.compute.convert(patches.rows(place * rows..<(place + 1) * rows), into: lastPatch)
        if let embeddings, let lastRow { model.compute.convert(embeddings.rows(place..<place + 1), into: lastRow) }
        lastPixels = batch[count - 1].rgb
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
        for (place, frame) in frames.enumerated() {
            let own = try computeTogether(
                [frame], into: patches.rows(place * rows..<(place + 1) * rows),
                embeddings: embeddings?.rows(place..<place + 1))
            model.compute.convert(own, into: tokens.rows(place * perFrame..<(place + 1) * perFrame))
        }
        return tokens
    }

    private func computeTogether(_ frames: [Frame], into patches: MatrixView, embeddings: MatrixView?) throws
        -> MatrixView
    {
        let parts = model.fusion.partCount
        let pictureBytes = 3 * model.vision.imageSize * model.vision.imageSize
        func patchify(_ picture: Int, _ out: MatrixView) {
            frames[picture / parts].rgb.withUnsafeBufferPointer { rgb in
                precondition(rgb.count == parts * pictureBytes, "a frame of \(rgb.count) bytes")
                guard let base = rgb.baseAddress else { return }
                model.compute.patchify(
                    rgb: base + picture % parts * pictureBytes, grid: model.vision.gridSize,
                    patch: model.vision.patchSize, mean: preprocessing.mean, std: preprocessing.std, into: out)
            }
        }
        if let embeddings {
            try model.patches(frames: frames.count, into: patches, embeddings: embeddings, patchify: patchify)
        } else {
            model.patches(frames: frames.count, into: patches, patchify: patchify)
        }
        return model.fuse(patches: patches, frames: frames.count, text: nil)
    }
}
