internal import Checkpoints
internal import Foundation
internal import Models
internal import Tensors
internal import Tokenizers

/// The text half of a two-tower CLIP checkpoint: embeds a text as a unit vector in the space of the images.
///
/// Not thread-safe: belongs to the thread that computes.
final class TextEmbedder {
    /// Dimensions of an embedding.
    let size: Int
    /// Most tokens of a text, including the begin and end tokens.
    let maxTokens: Int
    private let tower: TextTower
    private let tokenizer: CLIPTokenizer

    /// Loads the text tower and its tokenizer.
    ///
    /// - Parameter pair: a checkpoint with both towers, from `pair(of:)`.
    /// - Throws: `LongtakeError` `unsupported_model` for a tower without its text half; the errors of loading a
    ///   checkpoint.
    init(_ pair: CheckpointFolder, compute: Compute) throws {
        let config = try Self.config(of: pair)
        let tensors = pair.weights.tensors
        try pair.validate()
        func reader(_ prefix: String) -> WeightReader { WeightReader(tensors, prefix: prefix, compute: compute) }
        tower = try TextTower(
            reader(TensorName.textTower), projection: reader(TensorName.textProjection), config: config)
        tokenizer = try TokenizerLoader.loadCLIP(folder: URL(fileURLWithPath: pair.path, isDirectory: true))
        try Self.check(tokenizer, fits: config, pair.path)
        size = config.projectionSize
        maxTokens = min(tokenizer.maximumLength, config.maxPositions)
    }

    /// The configuration of a two-tower checkpoint's text half.
    ///
    /// - Throws: `LongtakeError` `unsupported_model` for a tower without its text half.
    static func config(of pair: CheckpointFolder) throws -> TextTowerConfig {
        let tensors = pair.weights.tensors
        guard pair.vision != nil, let config = pair.textTower, TensorCatalog.hasTextTower(tensors),
            tensors[TensorName.visualProjection + "weight"] != nil
        else { throw LongtakeError.noTextHalf(pair.path) }
        return config
    }

    /// The two-tower checkpoint: the given folder or the one of its vision tower.
    static func pair(of given: CheckpointFolder) throws -> CheckpointFolder {
        switch given.kind {
        case .clip, .clipVision: return given
        case .llama:
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(given.path) is a language model without a vision tower; give the folder of a CLIP "
                    + "checkpoint, or of a model with a vision tower")
        case .llavaMini, .llava:
            guard let folder = given.towerFolder else { throw LongtakeError.noTextHalf(given.path) }
            return try CheckpointFolder(path: folder)
        }
    }

    private static func check(_ tokenizer: CLIPTokenizer, fits config: TextTowerConfig, _ path: String) throws {
        func fail(_ what: String) -> LongtakeError {
            LongtakeError(
                code: .unsupportedModel,
                message: "\(path): \(what): tokenizer and weights are from different models")
        }
        guard tokenizer.vocabularySize <= config.vocabularySize else {
            throw fail(
                "the tokenizer has \(tokenizer.vocabularySize) ids, the text tower's vocab_size is "
                    + "\(config.vocabularySize)")
        }
        // Old configurations have 2 whatever the end token's ID; the tower then pools at the largest ID.
        guard let end = tokenizer.endID, config.endTokenID == 2 || Int(end) == config.endTokenID else {
            throw fail(
                "the tokenizer's end token is \(tokenizer.endID.map { "\($0)" } ?? "none"), the text tower's "
                    + "eos_token_id is \(config.endTokenID)")
        }
    }

    /// The embedding of a text, truncated to `maxTokens`; names of special tokens are treated as text.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an empty or blank text.
    func embed(_ text: String) throws -> [Float] {
        try Self.check(text)
        let (ids, count) = tokenizer.encodeForTower(text, length: maxTokens)
        return try Self.unit(tower.embed(Array(ids.prefix(count))).projected)
    }

    /// Checks that a text is not empty or blank.
    ///
    /// - Throws: `LongtakeError` `bad_request`.
    static func check(_ text: String) throws {
        guard !text.allSatisfy(\.isWhitespace) else {
            throw LongtakeError(code: .badRequest, message: "empty text; give at least one word")
        }
    }

    /// The row scaled to length 1.
    ///
    /// - Throws: `ModelError` if its length is 0 or not finite.
    static func unit(_ row: some Collection<Float>) throws -> [Float] {
        let length = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length.isFinite, length > 0 else { throw ModelError.notANumber }
        return row.map { Float(Double($0) / length) }
    }
}

extension LongtakeError {
    static func noTextHalf(_ path: String) -> Self {
        .init(
            code: .unsupportedModel,
            message: "\(path) has a vision tower without its text half: embeddings need both towers of CLIP and their "
                + "projections (model_type clip). Fetch the whole CLIP checkpoint that the tower is part of, with its "
                + "tokenizer, and give its folder")
    }
}
