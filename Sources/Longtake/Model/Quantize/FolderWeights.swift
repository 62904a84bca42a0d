internal import Checkpoints
internal import Foundation
internal import Tensors

/// The weight files of a folder, and the matrices of them that are quantized.
struct FolderWeights {
    let weights: WeightsFolder
    /// The folder's config.json.
    let config: [UInt8]
    /// The name in the copy; empty for the model's own folder.
    let target: String
    /// The format of each matrix that is quantized, by its name in the files.
    let formats: [String: WeightFormat]

    /// The model's own weights and, if it is a folder of its own, the vision tower's.
    static func folders(of source: CheckpointFolder, format: (ModelPart) -> WeightFormat?) -> [FolderWeights] {
        var own: [String: WeightFormat] = [:]
        var tower: [String: WeightFormat] = [:]
        for tensor in source.expectedTensors where tensor.isQuantizable {
            guard let format = format(tensor.part) else { continue }
            let isInside = tensor.part == .vision && source.towerSource == .insideCheckpoint
            let name = isInside ? TensorName.insideTower + tensor.name : tensor.name
            if let stored = source.weights.tensors[name] {
                own[stored.name] = tensor.format(in: format)
            } else if source.towerWeights?.tensors[name] != nil {
                tower[name] = tensor.format(in: format)
            }
        }
        let main = FolderWeights(weights: source.weights, config: source.configBytes, target: "", formats: own)
        guard let weights = source.towerWeights, let config = source.towerConfigBytes else { return [main] }
        return [
            main, FolderWeights(weights: weights, config: config, target: FolderFiles.towerName, formats: tower),
        ]
    }

    func with(formats: [String: WeightFormat]) -> FolderWeights {
        FolderWeights(weights: weights, config: config, target: target, formats: formats)
    }

    func targetPath(_ name: String) -> String { target.isEmpty ? name : target + "/" + name }

    /// Bytes of tensor data after quantization.
    var bytes: Int64 {
        weights.files.reduce(0) { sum, entry in
            entry.file.tensors.values.reduce(sum) { sum, tensor in
                sum + Int64(formats[tensor.name]?.storedBytes(tensor.shape) ?? tensor.byteCount)
            }
        }
    }

    /// The names that the files with tensors have in the copy, which is in safetensors:
    /// `pytorch_model-00001-of-00002.bin` becomes `model-00001-of-00002.safetensors`.
    private var safetensorsNames: [String: String] {
        let suffix = WeightsFormat.safetensors.suffix
        let (usual, other) = ("pytorch_", WeightsFormat.pytorch.suffix)
        let names = weights.files.filter { !$0.file.names.isEmpty }.map { file in
            guard file.name.hasSuffix(other) else { return (file.name, file.name) }
            var parts = file.name.split(separator: "/").map(String.init)
            let last = parts.popLast() ?? file.name
            let name = (last.hasPrefix(usual) ? last.dropFirst(usual.count) : last[...]).dropLast(other.count)
            return (file.name, (parts + [name + suffix]).joined(separator: "/"))
        }
        // Two files that would get one name keep theirs, with another ending.
        guard Set(names.map(\.1)).count == names.count else {
            return Dictionary(
                uniqueKeysWithValues: names.map { ($0.0, $0.0.hasSuffix(suffix) ? $0.0 : $0.0 + suffix) })
        }
        return Dictionary(uniqueKeysWithValues: names)
    }

    /// Measures the error of each matrix of `formats` and chooses its format.
    ///
    /// Above the bound of int4 int8 is tried, above that of int8 the matrix is kept.
    /// - Parameter read: gets the bytes of each piece that has been read.
    func measure(_ rows: RowQuantizer, read: (Int) throws -> Void) throws -> [QuantizationReport.Matrix] {
        try weights.files.indices.flatMap { index in
            // A mapping of its own, so that the pages of one shard are released before the next is read.
            let file = try weights.reopened(index)
            return try file.names.compactMap { name -> QuantizationReport.Matrix? in
                guard let tensor = file.tensors[name] else { return nil }
                guard let wanted = formats[name] else {
                    try read(tensor.byteCount)
                    return nil
                }
                let tried: [WeightFormat] = wanted == .int4 ? [.int4, .int8Groups] : [wanted]
                var measured = wanted
                var error = QuantizationError()
                for (index, format) in tried.enumerated() {
                    measured = format
                    error = QuantizationError()
                    try rows.quantize(tensor, as: format, measuring: true) { piece in
                        for row in piece.errors { error += row }
                        if index == 0 { try read(piece.sourceBytes) }
                    }
                    if error.isWithinBound(format) { break }
                }
                return QuantizationReport.Matrix(
                    name: name, format: error.isWithinBound(measured) ? measured : nil, measured: measured, error: error
                )
            }
        }
    }

    /// Writes the weight files and, for several, their index into the folder of the copy.
    ///
    /// - Parameter rows: nil if no matrix is quantized.
    func write(to folder: String, _ rows: RowQuantizer?, read: (Int) throws -> Void) throws {
        var shardOf: [String: JSONValue] = [:]
        let names = safetensorsNames
        let used = Set(weights.tensors.values.map(\.name))
        let scales = Set(formats.keys.flatMap { [TensorName.scale(of: $0), TensorName.minimum(of: $0)] })
        for (index, entry) in weights.files.enumerated() where !entry.file.names.isEmpty {
            let file = try weights.reopened(index)
            let name = names[entry.name] ?? entry.name
            let path = folder + "/" + targetPath(name)
            try FileManager.default.createDirectory(
                at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
            let tensors = file.names.compactMap { file.tensors[$0] }
            let entries = tensors.flatMap(entries)
            let writer = try SafetensorsWriter(path: path, entries: entries, metadata: ["format": "pt"])
            for tensor in tensors { try write(tensor, to: writer, rows, read: read) }
            try writer.finish()
            for tensor in entries where used.contains(tensor.name) || scales.contains(tensor.name) {
                shardOf[tensor.name] = .string(name)
            }
        }
        if Array(names.values) == [WeightsFormat.safetensors.singleName] { return }
        let index = JSONValue.object([
            "metadata": .object(["total_size": .integer(bytes)]), "weight_map": .object(shardOf),
        ])
        try PartialFolder.writeFile(
            folder + "/" + targetPath(WeightsFormat.safetensors.indexName), index.text(indented: true) + "\n")
    }

    /// The tensor as it is stored: values, scales and, in int4, minima of a quantized matrix.
    private func entries(_ tensor: StoredTensor) -> [SafetensorsWriter.Entry] {
        guard let format = formats[tensor.name] else {
            return [.init(name: tensor.name, type: tensor.type, shape: tensor.shape)]
        }
        let types = format.storedTypes
        return [
            .init(name: tensor.name, type: types.values, shape: format.valuesShape(tensor.shape)),
            .init(name: TensorName.scale(of: tensor.name), type: types.scales, shape: format.scalesShape(tensor.shape)),
        ]
            + (format.minimaShape(tensor.shape).map {
                [.init(name: TensorName.minimum(of: tensor.name), type: types.scales, shape: $0)]
            } ?? [])
    }

    private func write(
        _ tensor: StoredTensor, to writer: SafetensorsWriter, _ rows: RowQuantizer?, read: (Int) throws -> Void
    ) throws {
        guard let format = formats[tensor.name], let rows else {
            let step = 4 << 20
            let bytes = tensor.bytes
            for first in stride(from: 0, to: bytes.count, by: step) {
                let piece = bytes[first..<min(first + step, bytes.count)]
                try writer.write(UnsafeRawBufferPointer(rebasing: piece))
                try read(piece.count)
            }
            return
        }
        var scales: [UInt8] = []
        var minima: [UInt8] = []
        let scaleBytes = format.scalesShape(tensor.shape).reduce(format.storedTypes.scales.size, *)
        scales.reserveCapacity(scaleBytes)
        minima.reserveCapacity(format.minimaShape(tensor.shape) == nil ? 0 : scaleBytes)
        try rows.quantize(tensor, as: format, measuring: false) { piece in
            try writer.write(piece.values)
            scales.append(contentsOf: piece.scales)
            minima.append(contentsOf: piece.minima)
            try read(piece.sourceBytes)
        }
        try scales.withUnsafeBytes { try writer.write($0) }
        if !minima.isEmpty { try minima.withUnsafeBytes { try writer.write($0) } }
    }
}
