package import Checkpoints
import Glibc
import Tensors

/// Writes model folders with random weights, in the layout and size of real ones, for measurements and tests.
///
/// Such a model's answers are noise. The same seed gives the same bytes, and the same values in every data type up to
/// its rounding.
package enum RandomCheckpoint {
    /// The known model shapes.
    package enum Shape: String, Sendable, CaseIterable {
        /// LLaVA-Mini on Llama 3.1 8B with CLIP-L/14-336.
        case llavaMini8B = "llava-mini-8b"
        /// LLaVA-Mini on Vicuna 7B with the same tower.
        case llavaMini7B = "llava-mini-7b"
        /// LLaVA-v1.5 on Vicuna 7B with the same tower.
        case llava7B = "llava-v1.5-7b"
        /// LLaVA-Mini's architecture at about a thousandth of the size.
        case nano
        /// LLaVA-v1.5's in that size.
        case llavaNano = "llava-v1.5-nano"
    }

    /// The type of the weights.
    package enum DataType: String, Sendable, CaseIterable {
        case bf16, f16, f32

        var element: DType {
            switch self {
            case .bf16: .bf16
            case .f16: .f16
            case .f32: .f32
            }
        }
    }

    /// Returns the bytes of tensor data of the model and its vision tower together.
    package static func plannedBytes(_ shape: Shape, type: DataType) -> Int64 {
        let parts = tensors(of: shape)
        return (parts.model + parts.tower).reduce(0) { $0 + Int64($1.count * type.element.size) }
    }

    /// Returns the cost of a model with this shape, without writing it.
    package static func cost(of shape: Shape, type: DataType) -> ModelCost {
        let parts = shape.parts, lists = tensors(of: shape)
        return ModelCost(
            tensors: lists.model + lists.tower, language: parts.language, fusion: parts.fusion, vision: parts.vision
        ) { $0.count * type.element.size }
    }

    /// Writes the folder, which is named `<folder>.partial` until it is complete.
    ///
    /// `progress` gets bytes of tensor data written and in total, every few megabytes; an error it throws ends the
    /// writing. Throws `folder_not_empty`, `not_enough_disk` or `write_failed`, and then leaves no files.
    package static func write(
        _ shape: Shape, type: DataType, to folder: String, seed: UInt64,
        progress: (_ done: Int64, _ total: Int64) throws -> Void = { _, _ in }
    ) throws {
        try write(shape, type: type, to: folder, seed: seed, shardLimit: 4_000_000_000, free: nil, progress: progress)
    }

    /// Writes the folder with another shard limit (bytes of tensor data and header) and an assumed free disk space.
    package static func write(
        _ shape: Shape, type: DataType, to folder: String, seed: UInt64, shardLimit: Int, free: Int64?,
        progress: (Int64, Int64) throws -> Void
    ) throws {
        let partial = try PartialFolder(for: folder)
        do {
            let total = plannedBytes(shape, type: type)
            let needed = total + smallFiles
            let available = try free ?? partial.freeBytes()
            guard needed <= available else {
                throw CheckpointError.notEnoughDisk(folder, needed: needed, free: available)
            }
            for file in configFiles(of: shape, type: type) + tokenizerFiles(of: shape) {
                try partial.write(file.name, file.text)
            }
            var run = Run(type: type, seed: seed, shardLimit: shardLimit, total: total)
            let parts = tensors(of: shape)
            try run.shards(parts.model, in: partial.path, progress: progress)
            try run.single(parts.tower, in: partial.path + "/" + towerName, progress: progress)
            try partial.finish()
        } catch {
            partial.remove()
            throw error
        }
    }

    /// Bytes reserved for headers, configuration and tokenizer.
    private static let smallFiles: Int64 = 32 << 20
    static let towerName = "vision_tower"

    /// Returns all tensors the configuration requires, in the order of the model.
    package static func tensors(of shape: Shape) -> (model: [ExpectedTensor], tower: [ExpectedTensor]) {
        let parts = shape.parts
        // Includes the layers after the selected one, as in the published vision tower.
        return (
            TensorCatalog.llavaMini(parts.language, parts.fusion),
            TensorCatalog.vision(parts.vision, selectLayer: parts.fusion.visionSelectLayer)
        )
    }
}

/// Writes the weights of one model.
private struct Run {
    let type: RandomCheckpoint.DataType
    let seed: UInt64
    let shardLimit: Int
    let total: Int64
    var done: Int64 = 0

    init(type: RandomCheckpoint.DataType, seed: UInt64, shardLimit: Int, total: Int64) {
        self.type = type
        self.seed = seed
        self.shardLimit = shardLimit
        self.total = total
    }

    /// Writes `model.safetensors`, or numbered shards and their index if one file would exceed the limit.
    mutating func shards(
        _ tensors: [ExpectedTensor], in folder: String, progress: (Int64, Int64) throws -> Void
    ) throws {
        var shards: [[ExpectedTensor]] = [[]]
        var bytes = 0
        for tensor in tensors {
            // A header entry is the tensor's name and at most about 200 bytes.
            let size = tensor.count * type.element.size + tensor.name.utf8.count + 200
            if bytes + size + 4096 > shardLimit, shards.last?.isEmpty == false {
                shards.append([])
                bytes = 0
            }
            shards[shards.count - 1].append(tensor)
            bytes += size
        }
        guard shards.count > 1 else { return try single(tensors, in: folder, progress: progress) }
        var weightMap: [String: JSONValue] = [:]
        for (number, shard) in shards.enumerated() {
            let name = "model-\(Self.five(number + 1))-of-\(Self.five(shards.count)).safetensors"
            for tensor in shard { weightMap[tensor.name] = .string(name) }
            try write(shard, to: folder + "/" + name, progress: progress)
        }
        let size = tensors.reduce(0) { $0 + $1.count * type.element.size }
        let index = JSONValue.object([
            "metadata": .object(["total_size": .integer(Int64(size))]), "weight_map": .object(weightMap),
        ])
        try PartialFolder.writeFile(
            folder + "/" + WeightsFormat.safetensors.indexName, index.text(indented: true) + "\n")
    }

    mutating func single(
        _ tensors: [ExpectedTensor], in folder: String, progress: (Int64, Int64) throws -> Void
    ) throws {
        try write(tensors, to: folder + "/" + WeightsFormat.safetensors.singleName, progress: progress)
    }

    private mutating func write(
        _ tensors: [ExpectedTensor], to path: String, progress: (Int64, Int64) throws -> Void
    ) throws {
        let entries = tensors.map { SafetensorsWriter.Entry(name: $0.name, type: type.element, shape: $0.shape) }
        let writer = try SafetensorsWriter(path: path, entries: entries, metadata: ["format": "pt"])
        for tensor in tensors {
            var values = RandomValues(tensor, type: type, seed: seed)
            while let bytes = values.next() {
                try writer.write(bytes)
                done += Int64(bytes.count)
                try progress(done, total)
            }
        }
        try writer.finish()
    }

    private static func five(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
}
