internal import Media
internal import Models
internal import Tensors

/// The compute half of the streaming stage: batches of frames become patches and vision tokens.
///
/// Frames are computed several at a time, so that each weight read from memory meets some two thousand rows.
final class FrameEncoder {
    let batchSize: Int
    private let model: LlavaMini
    private let preprocessing: PicturePreprocessing
    private let patchBuffer: Buffer<Float>

    init(_ loaded: LoadedModel) {
        model = loaded.llava
        preprocessing = loaded.preprocessing
        batchSize = Self.batchSize(rows: model.patchRows)
        patchBuffer = Buffer(count: batchSize * model.patchRows * model.vision.hiddenSize)
    }

    /// Four frames of 576 patches; more of smaller ones, one at high resolution.
    static func batchSize(rows: Int) -> Int { max(1, min(32, 2304 / max(rows, 1))) }

    /// Encodes the first `count` frames of `batch`, each holding parts · side · side RGB pixels.
    ///
    /// - Parameter each: gets, per frame, its vision token rows [C2, H] and its patches [R, D], both f32.
    func encode(_ batch: [Frame], count: Int, each: (Int, _ token: Block, _ patches: Block) throws -> Void) rethrows {
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        let patches = Block(patchBuffer.pointer, rows: count * rows, columns: width)
        let parts = model.fusion.partCount
        let pictureBytes = 3 * model.vision.imageSize * model.vision.imageSize
        model.patches(frames: count, into: patches) { picture, out in
            batch[picture / parts].rgb.withUnsafeBufferPointer { rgb in
                precondition(rgb.count == parts * pictureBytes, "a frame of \(rgb.count) bytes")
                guard let base = rgb.baseAddress else { return }
                model.compute.patchify(
                    rgb: base + picture % parts * pictureBytes, grid: model.vision.gridSize,
                    patch: model.vision.patchSize, mean: preprocessing.mean, deviation: preprocessing.std, into: out)
            }
        }
        let tokens = model.fuse(patches: patches, frames: count, text: nil)
        let perFrame = model.fusion.tokensPerFrame
        for frame in 0..<count {
            try each(
                frame, tokens.rows(frame * perFrame..<(frame + 1) * perFrame),
                patches.rows(frame * rows..<(frame + 1) * rows))
        }
    }
}
