internal import Checkpoints
internal import Media
internal import Models
internal import Tensors

/// Memory of constant values, finite in every type.
final class ConstantMemory {
    let buffer: Buffer<UInt8>

    init(_ count: Int) {
        buffer = Buffer(count: count)
        // 0x3c3c… is about 0.01 in bf16 and in f32.
        buffer.pointer.update(repeating: 0x3c, count: buffer.count)
    }
}

extension BenchModel {
    /// Frames of random pixels, as many images each as the model wants.
    func randomFrames(_ count: Int) -> [Frame] {
        var random = SplitMix64(state: 1)
        let (parts, side) = (llava.fusion.partCount, llava.vision.imageSize)
        return (0..<count).map { index in
            var frame = Frame()
            (frame.index, frame.width, frame.height) = (index, side, side)
            frame.rgb = (0..<parts * side * side * 3).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return frame
        }
    }

    /// The language model's keys and values of `count` positions, constant, with room for `capacity`.
    ///
    /// - Returns: the cache, and the owner of its memory.
    /// - Throws: `CheckpointError` `not_enough_memory`.
    func constantCache(count: Int, capacity: Int) throws -> (KVCache, owner: AnyObject) {
        let language = llava.language
        let partBytes = capacity * language.keyBytes
        let parts = 2 * language.config.layerCount
        try MemoryBudget.read()?.check("the keys and values of \(count) positions", needed: Int64(parts * partBytes))
        let memory = ConstantMemory(parts * partBytes)
        let base = UnsafeMutableRawPointer(memory.buffer.pointer)
        guard
            let cache = language.cache(
                of: (0..<parts).map { UnsafeMutableRawBufferPointer(start: base + $0 * partBytes, count: partBytes) },
                count: count, owner: memory)
        else { preconditionFailure("\(partBytes) bytes for \(capacity) positions") }
        return (cache, memory)
    }
}
