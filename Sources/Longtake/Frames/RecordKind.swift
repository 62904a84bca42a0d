internal import Checkpoints
internal import Models
internal import Store
internal import Tensors

/// The contents and precision of frame records (part of the index key).
package enum RecordKind: String, Sendable, Codable, CaseIterable {
    /// Vision token in bf16, patches in int8 with one scale per row: 0.60 MB at full size.
    case standard = "default"
    /// Both in f32: four times the bytes, answers equal to a cold run's token for token.
    case f32
}

/// The layout of frame records for one model.
///
/// The token and the embedding are in the frame stream, the other parts in the patch stream, which can be removed; a
/// model that does not fuse text never reads patches, so its records have none.
/// Parts, in order: `token` [C2, H]; `patches` [R, D]; for int8 `scales` [R] f32; if the model has embeddings
/// `embedding` [E], for int8 with `embedding_scale` [1] f32. R = parts · P rows.
struct RecordCodec {
    let kind: RecordKind
    let tokenRows: Int
    let tokenWidth: Int
    let patchRows: Int
    let patchWidth: Int
    /// Embedding size E; nil for a model without embeddings.
    let embeddingSize: Int?
    /// True if records have patches.
    var hasPatches: Bool { patchRows > 0 }

    init(kind: RecordKind, model: LlavaMini) {
        self.kind = kind
        tokenRows = model.fusion.tokensPerFrame
        tokenWidth = model.hiddenSize
        patchRows = model.fusion.fusesText ? model.patchRows : 0
        patchWidth = model.vision.hiddenSize
        embeddingSize = model.embeddingSize
    }

    enum Part: Int {
        case token, patches, scales
    }

    /// Returns the record's name in an index key, such as "default:f32" or "default:bf16:embedding=768".
    static func name(_ kind: RecordKind, precision: String, embeddingSize: Int?) -> String {
        "\(kind.rawValue):\(precision)" + (embeddingSize.map { ":embedding=\($0)" } ?? "")
    }

    func layout() throws -> RecordLayout {
        let (tokens, patches) = (tokenRows * tokenWidth, patchRows * patchWidth)
        let embedding = embeddingSize.map { EmbeddingParts(kind: kind, size: $0).parts } ?? []
        let token: RecordPart
        let patchParts: [RecordPart]
        switch kind {
        case .standard:
            token = RecordPart(name: "token", bytes: tokens * 2, format: "bf16[\(tokenRows),\(tokenWidth)]")
            patchParts = [
                RecordPart(name: "patches", bytes: patches, format: "i8[\(patchRows),\(patchWidth)]", stream: .patch),
                RecordPart(name: "scales", bytes: patchRows * 4, format: "f32[\(patchRows)]", stream: .patch),
            ]
        case .f32:
            token = RecordPart(name: "token", bytes: tokens * 4, format: "f32[\(tokenRows),\(tokenWidth)]")
            patchParts = [
                RecordPart(
                    name: "patches", bytes: patches * 4, format: "f32[\(patchRows),\(patchWidth)]", stream: .patch)
            ]
        }
        return try RecordLayout(parts: [token] + (hasPatches ? patchParts : []) + embedding)
    }
}

/// The parts of a record that hold a frame's embedding, at the end of the frame stream.
struct EmbeddingParts {
    let kind: RecordKind
    /// Embedding size E.
    let size: Int

    /// `embedding` i8[E] and `embedding_scale` f32[1], or `embedding` f32[E].
    var parts: [RecordPart] {
        switch kind {
        case .standard:
            [
                RecordPart(name: "embedding", bytes: size, format: "i8[\(size)]"),
                RecordPart(name: "embedding_scale", bytes: 4, format: "f32[1]"),
            ]
        case .f32: [RecordPart(name: "embedding", bytes: size * 4, format: "f32[\(size)]")]
        }
    }

    /// Finds the parts of a layout that hold embeddings of `size` values; nil if it has none.
    init?(in layout: RecordLayout, size: Int) {
        let found = layout.parts.filter { $0.name.hasPrefix("embedding") }
        guard let kind = RecordKind.allCases.first(where: { EmbeddingParts(kind: $0, size: size).parts == found })
        else { return nil }
        self.init(kind: kind, size: size)
    }

    init(kind: RecordKind, size: Int) {
        self.kind = kind
        self.size = size
    }
}

/// Converts between frames' outputs and record parts; its buffers are allocated once.
final class RecordBuffers {
    let codec: RecordCodec
    private let compute: Compute
    private let token: Buffer<UInt8>
    private let patches: Buffer<UInt8>
    private let scales: Buffer<Float>
    private let row: Buffer<Float>
    private let embedding: Buffer<Int8>
    private let embeddingScale: Buffer<Float>
    /// What `encode` returns; kept, so that a frame allocates nothing.
    private var parts: [UnsafeRawBufferPointer] = []

    init(codec: RecordCodec, layout: RecordLayout, compute: Compute) {
        self.codec = codec
        self.compute = compute
        let bytes = layout.parts.map(\.bytes)
        token = Buffer(count: bytes[RecordCodec.Part.token.rawValue])
        patches = Buffer(count: codec.hasPatches ? bytes[RecordCodec.Part.patches.rawValue] : 0)
        scales = Buffer(count: codec.patchRows)
        row = Buffer(count: codec.tokenWidth)
        embedding = Buffer(count: codec.embeddingSize ?? 0)
        embeddingScale = Buffer(count: 1)
    }

    /// Returns the record parts of one frame, valid until the next call.
    func encode(_ frame: EncodedFrame) -> [UnsafeRawBufferPointer] {
        compute.timed(.record) {
            parts.removeAll(keepingCapacity: true)
            append(token: frame.token)
            if codec.hasPatches { append(patches: frame.patches) }
            if let embedding = frame.embedding { append(embedding: embedding) }
            return parts
        }
    }

    private func append(embedding block: MatrixView) {
        if codec.kind == .f32 {
            parts.append(UnsafeRawBufferPointer(start: block.base, count: block.columns * 4))
            return
        }
        compute.quantize(block, into: embedding.pointer, scales: embeddingScale.pointer)
        parts.append(UnsafeRawBufferPointer(start: embedding.pointer, count: embedding.count))
        parts.append(UnsafeRawBufferPointer(start: embeddingScale.pointer, count: 4))
    }

    private func append(token rows: MatrixView) {
        let tokenBase = UnsafeMutableRawPointer(token.pointer)
        compute.convert(
            rows,
            into: MatrixView(
                tokenBase, type: codec.kind == .f32 ? .f32 : .bf16, rows: codec.tokenRows, columns: codec.tokenWidth))
        parts.append(UnsafeRawBufferPointer(start: tokenBase, count: token.count))
    }

    private func append(patches block: MatrixView) {
        if codec.kind == .f32 {
            parts.append(UnsafeRawBufferPointer(start: block.base, count: patches.count))
            return
        }
        let values = UnsafeMutableRawPointer(patches.pointer).assumingMemoryBound(to: Int8.self)
        compute.threadPool.parallelFor(codec.patchRows, cost: 8 * codec.patchWidth) { range in
            compute.quantize(
                block.rows(range), into: values + range.lowerBound * codec.patchWidth,
                scales: scales.pointer + range.lowerBound)
        }
        parts.append(UnsafeRawBufferPointer(start: patches.pointer, count: patches.count))
        parts.append(UnsafeRawBufferPointer(start: scales.pointer, count: scales.count * 4))
    }

    /// Reads the vision tokens of frame `index` into `out` [C2, H] f32.
    func readToken(_ reader: IndexReader, frame: Int, into out: MatrixView) throws {
        let raw = UnsafeMutableRawBufferPointer(start: token.pointer, count: token.count)
        try reader.read(part: RecordCodec.Part.token.rawValue, frame: frame, into: raw)
        guard let base = raw.baseAddress else { return }
        let stored = MatrixView(
            base, type: codec.kind == .f32 ? .f32 : .bf16, rows: codec.tokenRows, columns: codec.tokenWidth)
        compute.convert(stored, into: out)
    }

    /// Reads the patches of frame `index` into `out` [R, D] f32; only frames in `reader.patchFrames` have patches.
    func readPatches(_ reader: IndexReader, frame: Int, into out: MatrixView) throws {
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
