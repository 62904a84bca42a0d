internal import Models
internal import Store
internal import Tensors

/// What of a frame is kept, and how finely (part of the index key).
public enum RecordKind: String, Sendable, Codable, CaseIterable {
    /// Vision token in bf16, patches in int8 with one scale per row: 0.60 MB at full size.
    case standard = "default"
    /// Both in f32: four times the bytes, answers equal to a cold run token for token.
    case f32
}

/// How frame records are laid out for one model, and the conversion between records and blocks.
///
/// The token is in the frame stream, the rest in the patch stream, which may go.
/// Parts, in order: `token` [C2, H]; `patches` [R, D]; for int8 `scales` [R] f32. R = parts · P rows.
struct RecordCodec {
    let kind: RecordKind
    let tokenRows: Int
    let tokenWidth: Int
    let patchRows: Int
    let patchWidth: Int

    init(kind: RecordKind, model: LlavaMini) {
        self.kind = kind
        tokenRows = model.fusion.tokensPerFrame
        tokenWidth = model.hiddenSize
        patchRows = model.patchRows
        patchWidth = model.vision.hiddenSize
    }

    enum Part: Int {
        case token, patches, scales
    }

    func layout() throws -> RecordLayout {
        let (tokens, patches) = (tokenRows * tokenWidth, patchRows * patchWidth)
        switch kind {
        case .standard:
            return try RecordLayout(parts: [
                RecordPart(name: "token", bytes: tokens * 2, format: "bf16[\(tokenRows),\(tokenWidth)]"),
                RecordPart(name: "patches", bytes: patches, format: "i8[\(patchRows),\(patchWidth)]", stream: .patch),
                RecordPart(name: "scales", bytes: patchRows * 4, format: "f32[\(patchRows)]", stream: .patch),
            ])
        case .f32:
            return try RecordLayout(parts: [
                RecordPart(name: "token", bytes: tokens * 4, format: "f32[\(tokenRows),\(tokenWidth)]"),
                RecordPart(
                    name: "patches", bytes: patches * 4, format: "f32[\(patchRows),\(patchWidth)]", stream: .patch),
            ])
        }
    }
}

/// Turns a batch of frames into record parts, and record parts back into blocks; its buffers are allocated once.
final class RecordBuffers {
    let codec: RecordCodec
    private let compute: Compute
    private let token: Buffer<UInt8>
    private let patches: Buffer<UInt8>
    private let scales: Buffer<Float>
    private let row: Buffer<Float>

    init(codec: RecordCodec, layout: RecordLayout, compute: Compute) {
        self.codec = codec
        self.compute = compute
        let bytes = layout.parts.map(\.bytes)
        token = Buffer(count: bytes[0])
        patches = Buffer(count: bytes[1])
        scales = Buffer(count: codec.patchRows)
        row = Buffer(count: codec.tokenWidth)
    }

    /// The parts of one frame, valid until the next call.
    func encode(token rows: Block, patches block: Block) -> [UnsafeRawBufferPointer] {
        let tokenBase = UnsafeMutableRawPointer(token.pointer)
        compute.convert(
            rows,
            into: Block(
                tokenBase, type: codec.kind == .f32 ? .f32 : .bf16, rows: codec.tokenRows, columns: codec.tokenWidth))
        let tokenBytes = UnsafeRawBufferPointer(start: tokenBase, count: token.count)
        if codec.kind == .f32 {
            return [tokenBytes, UnsafeRawBufferPointer(start: block.base, count: patches.count)]
        }
        let values = UnsafeMutableRawPointer(patches.pointer).assumingMemoryBound(to: Int8.self)
        compute.workers.split(codec.patchRows) { range in
            compute.quantize(
                block.rows(range), into: values + range.lowerBound * codec.patchWidth,
                scales: scales.pointer + range.lowerBound)
        }
        return [
            tokenBytes, UnsafeRawBufferPointer(start: patches.pointer, count: patches.count),
            UnsafeRawBufferPointer(start: scales.pointer, count: scales.count * 4),
        ]
    }

    /// Frame `index`'s vision token rows from an index into `out` [C2, H] f32.
    func readToken(_ reader: IndexReader, frame: Int, into out: Block) throws {
        let raw = UnsafeMutableRawBufferPointer(start: token.pointer, count: token.count)
        try reader.read(part: RecordCodec.Part.token.rawValue, frame: frame, into: raw)
        guard let base = raw.baseAddress else { return }
        let stored = Block(
            base, type: codec.kind == .f32 ? .f32 : .bf16, rows: codec.tokenRows, columns: codec.tokenWidth)
        compute.convert(stored, into: out)
    }

    /// Frame `index`'s patches from an index into `out` [R, D] f32; `reader.patchFrames` says which frames have some.
    func readPatches(_ reader: IndexReader, frame: Int, into out: Block) throws {
        if codec.kind == .f32 {
            try reader.read(
                part: RecordCodec.Part.patches.rawValue, frame: frame,
                into: UnsafeMutableRawBufferPointer(start: out.base, count: patches.count))
            return
        }
        try reader.read(
            part: RecordCodec.Part.patches.rawValue, frame: frame,
            into: UnsafeMutableRawBufferPointer(start: patches.pointer, count: patches.count))
        try reader.read(
            part: RecordCodec.Part.scales.rawValue, frame: frame,
            into: UnsafeMutableRawBufferPointer(start: scales.pointer, count: scales.count * 4))
        let values = UnsafeMutableRawPointer(patches.pointer).assumingMemoryBound(to: Int8.self)
        compute.dequantize(values, scales: scales.pointer, into: out)
    }
}
