internal import Media
internal import Models
internal import Tensors

/// The compute half of the streaming stage: batches of frames become patches and vision tokens.
///
/// Frames are computed several at a time, so that each weight read from memory meets some two thousand rows. A frame with the
/// same pixels as the one before it, as slides and still scenes have them, is not computed again.
final class FrameEncoder {
    let batchSize: Int
    private let model: LlavaMini
    private let preprocessing: PicturePreprocessing
    private let patchBuffer: Buffer<Float>
    private let lastPatches: Buffer<Float>
    private let lastTokens: Buffer<Float>
    /// The pixels that `lastPatches` and `lastTokens` belong to; empty before the first frame.
    private var lastPixels: [UInt8] = []

    init(_ loaded: LoadedModel) {
        model = loaded.llava
        preprocessing = loaded.preprocessing
        batchSize = Self.batchSize(rows: model.patchRows)
        patchBuffer = Buffer(count: batchSize * model.patchRows * model.vision.hiddenSize)
        lastPatches = Buffer(count: model.patchRows * model.vision.hiddenSize)
        lastTokens = Buffer(count: model.fusion.tokensPerFrame * model.hiddenSize)
    }

    /// Four frames of 576 patches; more of smaller ones, one at high resolution.
    static func batchSize(rows: Int) -> Int { max(1, min(32, 2304 / max(rows, 1))) }

    /// Encodes the first `count` frames of `batch`, each holding parts · side · side RGB pixels.
    ///
    /// - Parameters:
    ///   - isFirst: whether a frame is computed whatever came before it. What is written from there on is then the same in a
    ///     run that begins there.
    ///   - each: gets, per frame, its vision token rows [C2, H] and its patches [R, D], both f32.
    func encode(
        _ batch: [Frame], count: Int, isFirst: (Frame) -> Bool = { _ in false },
        each: (Int, _ token: Block, _ patches: Block) throws -> Void
    ) rethrows {
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        // Per frame its place among the computed ones, -1 for the last one of the call before.
        var places: [Int] = []
        var computed: [Int] = []
        for frame in 0..<count {
            let before = frame > 0 ? batch[frame - 1].rgb : lastPixels
            if isFirst(batch[frame]) || !isSame(batch[frame].rgb, before) { computed.append(frame) }
            places.append(computed.count - 1)
        }
        let patches = Block(patchBuffer.pointer, rows: computed.count * rows, columns: width)
        let perFrame = model.fusion.tokensPerFrame
        let lastToken = Block(lastTokens.pointer, rows: perFrame, columns: model.hiddenSize)
        let lastPatch = Block(lastPatches.pointer, rows: rows, columns: width)
        let tokens = computed.isEmpty ? lastToken : compute(computed.map { batch[$0] }, into: patches)
        for (frame, place) in places.enumerated() {
            try each(
                frame, place < 0 ? lastToken : tokens.rows(place * perFrame..<(place + 1) * perFrame),
                place < 0 ? lastPatch : patches.rows(place * rows..<(place + 1) * rows))
        }
        guard let place = places.last, place >= 0 else { return }
        model.compute.convert(tokens.rows(place * perFrame..<(place + 1) * perFrame), into: lastToken)
        model.compute.convert(patches.rows(place * rows..<(place + 1) * rows), into: lastPatch)
        lastPixels = batch[count - 1].rgb
    }

    /// Writes the frames' patches and returns their vision tokens [frames · C2, H] f32, valid until the next call.
    private func compute(_ frames: [Frame], into patches: Block) -> Block {
        let parts = model.fusion.partCount
        let pictureBytes = 3 * model.vision.imageSize * model.vision.imageSize
        model.patches(frames: frames.count, into: patches) { picture, out in
            frames[picture / parts].rgb.withUnsafeBufferPointer { rgb in
                precondition(rgb.count == parts * pictureBytes, "a frame of \(rgb.count) bytes")
                guard let base = rgb.baseAddress else { return }
                model.compute.patchify(
                    rgb: base + picture % parts * pictureBytes, grid: model.vision.gridSize,
                    patch: model.vision.patchSize, mean: preprocessing.mean, deviation: preprocessing.std, into: out)
            }
        }
        return model.fuse(patches: patches, frames: frames.count, text: nil)
    }
}
