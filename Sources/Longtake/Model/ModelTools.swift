package import Checkpoints
internal import Foundation
internal import Models
internal import Tensors
internal import Tokenizers

/// The shape and cost of the model in a folder.
package struct ModelInspection: Sendable, Codable {
    /// Path of the folder.
    package let path: String
    /// Kind of checkpoint.
    package let kind: String
    /// `model_type` in config.json.
    package let modelType: String
    /// Where the vision tower's weights come from; nil without a vision tower.
    package let tower: String?
    /// Size and number of operations.
    package let cost: ModelCost
    /// Hidden size H of the language model.
    package let hiddenSize: Int?
    /// Number of layers of the language model.
    package let layers: Int?
    /// Vocabulary size of the language model.
    package let vocabulary: Int?
    /// Context length in tokens.
    package let maxPositions: Int?
    /// Side of the vision tower's input in pixels.
    package let imageSize: Int?
    /// Patches per image.
    package let patches: Int?
    /// Vision tokens per frame.
    package let tokensPerFrame: Int?
    /// Number of pre-fusion layers.
    package let prefusionLayers: Int?
    /// Notes about the checkpoint.
    package let notes: [String]
    /// Tensors with values that are not finite; nil if not checked.
    package let nonFinite: [NonFiniteTensor]?
    /// How the weights are quantized; nil if they are not.
    package let quantization: QuantizationSummary?

    private enum CodingKeys: String, CodingKey {
        case path, kind, tower, cost, layers, vocabulary, patches, notes, quantization
        case modelType = "model_type"
        case hiddenSize = "hidden_size"
        case maxPositions = "max_positions"
        case imageSize = "picture_size"
        case tokensPerFrame = "tokens_per_frame"
        case prefusionLayers = "prefusion_layers"
        case nonFinite = "non_finite"
    }

    /// Inspects a folder.
    ///
    /// - Throws: `CheckpointError` or `WeightsError` if the folder is not a valid checkpoint.
    package init(path: String, checkTensors: Bool = false) throws {
        let checkpoint = try CheckpointFolder(path: path)
        try checkpoint.validate()
        self.path = path
        kind = checkpoint.kind.rawValue
        modelType = checkpoint.modelType
        tower = checkpoint.towerSource?.rawValue
        cost = ModelCost(checkpoint)
        hiddenSize = checkpoint.language?.hiddenSize
        layers = checkpoint.language?.layerCount
        vocabulary = checkpoint.language?.vocabularySize
        maxPositions = checkpoint.language?.maxPositions
        imageSize = checkpoint.vision?.imageSize
        patches = checkpoint.vision?.patchCount
        tokensPerFrame = checkpoint.fusion?.tokensPerFrame
        prefusionLayers = checkpoint.fusion?.prefusionLayerCount
        notes = checkpoint.notes
        nonFinite = checkTensors ? try checkpoint.scanNonFinite() : nil
        quantization = QuantizationSummary(checkpoint)
    }

    /// True if a tensor with values that are not finite was found.
    package var hasNonFinite: Bool { !(nonFinite ?? []).isEmpty }

    /// Returns a table of two columns for display; `bytes` and `operations` format the values.
    package func rows(bytes: (Int64) -> String, operations: (Double) -> String) -> [[String]] {
        func optional(_ name: String, _ value: Int?) -> [[String]] { value.map { [[name, "\($0)"]] } ?? [] }
        var rows = [["kind", "\(kind) (\(modelType))"]]
        if let tower { rows.append(["vision tower", tower]) }
        rows += optional("hidden size", hiddenSize) + optional("layers", layers) + optional("vocabulary", vocabulary)
        rows += optional("context (positions)", maxPositions) + optional("image size", imageSize)
        rows += optional("patches per image", patches) + optional("vision tokens per frame", tokensPerFrame)
        // LLaVA-v1.5 has no compressor and no pre-fusion.
        rows += optional("pre-fusion layers", prefusionLayers == 0 ? nil : prefusionLayers)
        rows.append(["parameters", "\(cost.parameters) in \(bytes(Int64(cost.bytes)))"])
        rows += cost.parts.map { ["  \($0.part.rawValue)", "\($0.parameters) in \(bytes(Int64($0.bytes)))"] }
        if let quantization {
            rows += quantization.rows + [["memory for weights", bytes(quantization.loadBytes)]]
        } else {
            let sizes = cost.loadBytes
            rows.append(["memory for weights", "f32 \(bytes(sizes.f32)), bf16 \(bytes(sizes.bf16))"])
        }
        if let frame = cost.frame {
            rows.append(["indexing, per frame", operations(frame.indexTotal)])
            let parts = [
                ("encoder", frame.encoder), ("compressor", frame.compressor), ("projector", frame.projector),
                ("pre-fusion", frame.prefusion),
            ]
            rows += parts.filter { $0.1 > 0 }.map { ["  \($0.0)", operations($0.1)] }
        }
        func work(_ name: String, _ value: Double?) {
            if let value, value > 0 { rows.append([name, operations(value)]) }
        }
        work("prompt head, per question and fusion frame", cost.frame?.promptHead)
        if let record = cost.frameRecordBytes { rows.append(["cache, per frame", bytes(Int64(record))]) }
        work("fusion, per question and fusion frame", cost.questionWorkPerFusionFrame)
        work("language model, per question and frame", cost.prefixWorkPerFrame)
        work("one image, to the first token", cost.imageAnswerWork)
        if let kv = cost.keyValueBytesPerToken {
            rows.append(["keys and values, per vision token", bytes(Int64(kv))])
        }
        if let nonFinite {
            rows.append(["values not finite", nonFinite.isEmpty ? "none" : ""])
            rows += nonFinite.prefix(10).map { ["  \($0.name)", "\($0)"] }
        }
        return rows
    }
}

/// Converts between text and token IDs with a model's tokenizer.
package struct TokenizerTool {
    /// The names of the conversation templates.
    package static let templates = ConversationTemplate.allCases.map(\.rawValue)
    private let tokenizer: any Tokenizer

    /// Loads the tokenizer in a folder: a language model's, else CLIP's; of a LoRA adapter without one its base model's.
    package init(folder: String) throws {
        let folder = try CheckpointFolder.tokenizerFolder(of: folder)
        let url = URL(fileURLWithPath: folder, isDirectory: true)
        do {
            tokenizer = try TokenizerLoader.load(folder: url)
        } catch let error as TokenizerError where error.code == .notFound {
            tokenizer = try TokenizerLoader.loadCLIP(folder: url)
        }
    }

    /// Returns the token IDs of `text`.
    ///
    /// - Parameters:
    ///   - bos: prepend the begin-of-text token, if the tokenizer has one.
    ///   - parseSpecial: convert names of special tokens to their IDs instead of treating them as text.
    package func encode(_ text: String, bos: Bool, parseSpecial: Bool) -> [Int32] {
        let ids = tokenizer.encode(text, parseSpecial: parseSpecial)
        return bos ? (tokenizer.beginID.map { [$0] } ?? []) + ids : ids
    }

    /// Returns the token IDs of `text` as a question in a conversation template, with -200 for the image.
    package func encode(_ text: String, chat template: String, withImage: Bool) throws -> [Int32] {
        guard let template = ConversationTemplate(name: template) else {
            throw LongtakeError(
                code: .badRequest,
                message: "unknown template \(template); known: "
                    + ConversationTemplate.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return try PromptBuilder(tokenizer: tokenizer, template: template).build(question: text, withImage: withImage)
            .ids
    }

    /// Returns the text of token IDs.
    ///
    /// - Throws: `LongtakeError` for an ID that the tokenizer does not have.
    package func decode(_ ids: [Int32], skipSpecial: Bool) throws -> String {
        if let unknown = ids.first(where: { $0 < 0 || Int($0) >= tokenizer.vocabularySize }) {
            throw LongtakeError(
                code: .badRequest,
                message: "unknown token ID \(unknown); the tokenizer has 0 to \(tokenizer.vocabularySize - 1)")
        }
        return tokenizer.decode(ids, skipSpecial: skipSpecial)
    }
}

/// Writes checkpoints with random weights: real shapes for measuring speed and memory, meaningless output.
package enum RandomModel {
    /// The names of the known shapes.
    package static let shapes = RandomCheckpoint.Shape.allCases.map(\.rawValue)
    /// The names of the known data types.
    package static let types = RandomCheckpoint.DataType.allCases.map(\.rawValue)

    /// Returns the size of the weights in bytes.
    package static func plannedBytes(shape: String, type: String) throws -> Int64 {
        let (shape, type) = try parse(shape, type)
        return RandomCheckpoint.plannedBytes(shape, type: type)
    }

    /// Writes a checkpoint to `folder`; `progress` gets bytes of tensor data written and in total.
    package static func make(
        shape: String, type: String, folder: String, seed: UInt64, progress: (Int64, Int64) throws -> Void
    ) throws {
        let (shape, type) = try parse(shape, type)
        let parent = URL(fileURLWithPath: folder).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try RandomCheckpoint.write(shape, type: type, to: folder, seed: seed, progress: progress)
    }

    private static func parse(_ shape: String, _ type: String) throws -> (
        RandomCheckpoint.Shape, RandomCheckpoint.DataType
    ) {
        guard let shape = RandomCheckpoint.Shape(rawValue: shape) else {
            throw LongtakeError(
                code: .badRequest, message: "unknown shape \(shape); known: \(shapes.joined(separator: ", "))")
        }
        guard let type = RandomCheckpoint.DataType(rawValue: type) else {
            throw LongtakeError(
                code: .badRequest, message: "unknown type \(type); known: \(types.joined(separator: ", "))")
        }
        return (shape, type)
    }
}
