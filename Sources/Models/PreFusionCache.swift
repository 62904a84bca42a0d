internal import Checkpoints
internal import Tensors

// Letters: S rows per frame, h_kv KV heads, d head size.

/// The pre-fusion layers' keys and values of frames over [patches | tokens | prefix of the prompt].
///
/// The layers are causal, so these do not depend on the rest of the prompt, which only needs them
/// (docs/model.md, section 6). Layout: by frame, then layer, keys before values, each [S, h_kv · d]. Bytes per frame:
/// layers · 2 · S · h_kv · d · element size; at full size 4 · 2 · 600 · 1024 · 2, about 9.8 MB in bf16.
public final class PreFusionCache {
    /// Rows per frame, S.
    public let rows: Int
    /// Frames that fit.
    public let capacity: Int
    /// Frames stored so far.
    public private(set) var count: Int
    private let layerCount: Int
    private let width: Int  // h_kv · d
    private let type: DType
    private let base: UnsafeMutableRawPointer
    private let owner: AnyObject

    private final class Memory {
        let buffer: Buffer<UInt8>
        init(_ count: Int) { buffer = Buffer(count: count) }
    }

    /// Allocates room for `capacity` frames; the prompt's prefix has `prefixRows` rows.
    public init(_ model: LlavaMini, prefixRows: Int, capacity: Int) {
        (rows, layerCount, width, type) = Self.shape(model, prefixRows: prefixRows)
        self.capacity = capacity
        count = 0
        let memory = Memory(capacity * layerCount * 2 * rows * width * type.size)
        base = UnsafeMutableRawPointer(memory.buffer.pointer)
        owner = memory
    }

    /// Uses frames stored earlier; nil unless `memory` has exactly the size of `count` frames of this model.
    ///
    /// - Parameters:
    ///   - memory: the `bytes` of another cache.
    ///   - owner: keeps the memory alive.
    public init?(
        _ model: LlavaMini, prefixRows: Int, count: Int, memory: UnsafeMutableRawBufferPointer, owner: AnyObject
    ) {
        (rows, layerCount, width, type) = Self.shape(model, prefixRows: prefixRows)
        capacity = count
        self.count = count
        guard memory.count == count * layerCount * 2 * rows * width * type.size, let base = memory.baseAddress else {
            return nil
        }
        self.base = base
        self.owner = owner
    }

    private static func shape(_ model: LlavaMini, prefixRows: Int) -> (Int, Int, Int, DType) {
        let config = model.language.config
        return (
            model.visualRows + model.fusion.tokensPerFrame + prefixRows, model.fusion.prefusionLayerCount,
            config.keyValueHeadCount * config.headSize, model.compute.precision
        )
    }

    /// Bytes of one frame in all layers.
    public var bytesPerFrame: Int { layerCount * 2 * rows * width * type.size }

    /// Bytes of one frame's keys and values in one layer.
    public var bytesPerLayer: Int { 2 * rows * width * type.size }

    /// The stored contents, frame by frame.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count * bytesPerFrame) }

    /// Removes all frames and keeps the memory.
    public func removeAll() { count = 0 }

    /// Keys of one frame in one layer: [S, h_kv · d].
    func keys(frame: Int, layer: Int) -> MatrixView { matrix(frame, 2 * layer) }
    /// Values of one frame in one layer: [S, h_kv · d].
    func values(frame: Int, layer: Int) -> MatrixView { matrix(frame, 2 * layer + 1) }

    private func matrix(_ frame: Int, _ index: Int) -> MatrixView {
        precondition(frame < capacity && index < 2 * layerCount, "frame \(frame) of \(capacity)")
        let size = rows * width * type.size
        return MatrixView(base + (frame * 2 * layerCount + index) * size, type: type, rows: rows, columns: width)
    }

    /// Stores one layer's keys and values [frames · S, h_kv · d] of the frames being added; `added` completes them.
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

    /// Counts `frames` frames as stored, once all layers are.
    func added(_ frames: Int) { count += frames }
}
