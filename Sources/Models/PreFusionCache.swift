internal import Checkpoints
internal import Tensors

/// The pre-fusion layers' keys and values over [patches | tokens | head of the prompt] of frames: all that a text going on
/// behind them has to know of them.
///
/// They do not depend on how the text goes on, for the layers are causal (docs/model.md, section 6). Laid out by frame,
/// then layer, keys before values, each [S, keyValueHeads · headSize]. Bytes per frame: layers · 2 · S · keyValueHeads ·
/// headSize · the type's size; at full size 4 · 2 · 600 · 1024 · 2, about 9.8 MB in bf16.
public final class PreFusionCache {
    /// Rows per frame, S.
    public let rows: Int
    public let capacity: Int
    /// Frames kept so far.
    public private(set) var count: Int
    private let layerCount: Int
    private let width: Int
    private let type: DType
    private let base: UnsafeMutableRawPointer
    private let owner: AnyObject

    private final class Memory {
        let buffer: Buffer<UInt8>
        init(_ count: Int) { buffer = Buffer(count: count) }
    }

    /// Room for `capacity` frames whose head has `headRows` rows.
    public init(_ model: LlavaMini, headRows: Int, capacity: Int) {
        (rows, layerCount, width, type) = Self.shape(model, headRows: headRows)
        self.capacity = capacity
        count = 0
        let memory = Memory(capacity * layerCount * 2 * rows * width * type.size)
        base = UnsafeMutableRawPointer(memory.buffer.pointer)
        owner = memory
    }

    /// Frames kept earlier; nil where `memory` is not as large as `count` frames of this model are.
    ///
    /// - Parameter owner: keeps the memory alive.
    public init?(
        _ model: LlavaMini, headRows: Int, count: Int, memory: UnsafeMutableRawBufferPointer, owner: AnyObject
    ) {
        (rows, layerCount, width, type) = Self.shape(model, headRows: headRows)
        capacity = count
        self.count = count
        guard memory.count == count * layerCount * 2 * rows * width * type.size, let base = memory.baseAddress else {
            return nil
        }
        self.base = base
        self.owner = owner
    }

    private static func shape(_ model: LlavaMini, headRows: Int) -> (Int, Int, Int, DType) {
        let config = model.language.config
        return (
            model.patchRows + model.fusion.tokensPerFrame + headRows, model.fusion.prefusionLayerCount,
            config.keyValueHeadCount * config.headSize, model.compute.precision
        )
    }

    /// Of one frame.
    public var bytesPerFrame: Int { layerCount * 2 * rows * width * type.size }

    /// Of one frame's keys and values in one layer.
    public var bytesPerLayer: Int { 2 * rows * width * type.size }

    /// All that is kept, frame by frame.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count * bytesPerFrame) }

    /// Forgets the frames, not the memory.
    public func removeAll() { count = 0 }

    func keys(frame: Int, layer: Int) -> MatrixView { block(frame, 2 * layer) }
    func values(frame: Int, layer: Int) -> MatrixView { block(frame, 2 * layer + 1) }

    private func block(_ frame: Int, _ index: Int) -> MatrixView {
        precondition(frame < capacity && index < 2 * layerCount, "frame \(frame) of \(capacity)")
        let size = rows * width * type.size
        return MatrixView(base + (frame * 2 * layerCount + index) * size, type: type, rows: rows, columns: width)
    }

    /// Keys and values [frames · S, ·] of one layer of the frames that are being added.
    func store(layer: Int, frames: Int, keys: MatrixView, values: MatrixView) {
        precondition(keys.rows == frames * rows && keys.type == type, "keys of \(keys.rows) rows")
        let size = rows * width * type.size
        for frame in 0..<frames {
            self.keys(frame: count + frame, layer: layer).base.copyMemory(
                from: keys.row(frame * rows), byteCount: size)
            self.values(frame: count + frame, layer: layer).base.copyMemory(
                from: values.row(frame * rows), byteCount: size)
        }
    }

    func added(_ frames: Int) { count += frames }
}
