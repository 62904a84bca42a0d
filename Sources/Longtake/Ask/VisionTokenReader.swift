internal import Checkpoints
internal import Models
internal import Tensors

/// Reads a source's vision tokens as input rows for the language model.
final class VisionTokenReader {
    private let source: FrameSource
    private let perFrame: Int
    private let width: Int
    private let buffer: Buffer<Float>
    /// The first read error; rows read since then are invalid.
    private(set) var failure: (any Error)?

    init(_ source: FrameSource, model: LlavaMini) {
        self.source = source
        perFrame = model.fusion.tokensPerFrame
        width = model.hiddenSize
        buffer = Buffer(count: perFrame * width)
    }

    /// Vision tokens in the range: frames · C2.
    var count: Int { source.times.count * perFrame }

    /// Writes the vision tokens in `range` into `block` [rows, H] f32.
    func read(_ range: Range<Int>, into block: MatrixView) {
        let rows = MatrixView(buffer.pointer, rows: perFrame, columns: width)
        var frame = -1
        for index in range where failure == nil {
            if index / perFrame != frame {
                frame = index / perFrame
                do {
                    try source.tokens(frame, rows)
                } catch {
                    failure = error
                }
            }
            block.row(index - range.lowerBound).copyMemory(from: rows.row(index % perFrame), byteCount: width * 4)
        }
    }
}
