internal import Checkpoints
import Tensors

/// The values of one random tensor, in pieces large enough that the page cache holds the file in huge pages.
///
/// Value i is 16 bits of output i/4 of a SplitMix64 generator seeded from the seed and the tensor's name, uniform
/// around the center. Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
struct RandomValues {
    private static let pieceCount = 8 << 20  // values
    private let type: RandomCheckpoint.DataType
    private let start: UInt64
    private let centre: Float
    /// Distance between values of consecutive 16-bit integers.
    private let step: Float
    private let count: Int
    private var position = 0
    private let floats: Storage
    private let bytes: Storage

    init(_ tensor: ExpectedTensor, type: RandomCheckpoint.DataType, seed: UInt64) {
        self.type = type
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        for byte in tensor.name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        start = Self.mix(Self.mix(seed &+ Self.gamma) ^ hash)
        count = tensor.count
        let deviation: Float
        if tensor.shape.count < 2 {
            // One-dimensional weights are norms'; biases and the class embedding are small.
            let isNorm = tensor.name.hasSuffix(".weight")
            centre = isNorm ? 1 : 0
            deviation = isNorm ? 0.05 : 0.02
        } else {
            centre = 0
            deviation = 1 / Float(max(1, tensor.shape.dropFirst().reduce(1, *))).squareRoot()
        }
        // A uniform distribution's standard deviation is half its width divided by √3.
        step = deviation * Float(3).squareRoot() / 32_768
        let room = min(Self.pieceCount, (count + 3) / 4 * 4)
        floats = Storage(room * 4)
        bytes = Storage(room * type.element.size)
    }

    /// Returns the next piece, little endian, valid until the next call; nil at the end.
    mutating func next() -> UnsafeRawBufferPointer? {
        let wanted = min(Self.pieceCount, count - position)
        guard wanted > 0 else { return nil }
        let values = floats.memory.assumingMemoryBound(to: Float.self)
        fill(values, draws: (wanted + 3) / 4)
        position += wanted
        let raw = bytes.memory
        switch type {
        case .f32: raw.copyMemory(from: floats.memory, byteCount: wanted * 4)
        case .f16:
            let out = raw.assumingMemoryBound(to: UInt16.self)
            for index in 0..<wanted { out[index] = Float16(values[index]).bitPattern.littleEndian }
        case .bf16:
            let out = raw.assumingMemoryBound(to: UInt16.self)
            for index in 0..<wanted {
                let bits = values[index].bitPattern
                // Round to nearest, ties to even.
                out[index] = UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16).littleEndian
            }
        }
        return UnsafeRawBufferPointer(start: raw, count: wanted * type.element.size)
    }

    private func fill(_ values: UnsafeMutablePointer<Float>, draws: Int) {
        var state = start &+ UInt64(position / 4) &* Self.gamma
        for draw in 0..<draws {
            state = state &+ Self.gamma
            let bits = Self.mix(state)
            for lane in 0..<4 {
                let number = Int16(truncatingIfNeeded: bits >> (16 &* UInt64(lane)))
                values[draw &* 4 &+ lane] = (Float(number) + 0.5) * step + centre
            }
        }
    }

    private static let gamma: UInt64 = 0x9e37_79b9_7f4a_7c15

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// Memory that is freed with its last owner.
    private final class Storage {
        let memory: UnsafeMutableRawPointer
        init(_ size: Int) { memory = .allocate(byteCount: max(1, size), alignment: 64) }
        deinit { memory.deallocate() }
    }
}
