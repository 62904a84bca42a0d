internal import Checkpoints
internal import Foundation
internal import Media
internal import Models
internal import Store
internal import Tensors

/// What of a model an index depends on: read from its folder without loading a weight.
public struct ModelIdentity: Sendable {
    /// The folder's name, for people.
    public let name: String
    /// What its folder says of it, e.g. that its weights are random.
    public let notes: [String]
    /// SHA-256 of what identifies the weights and everything that changes what they compute.
    let hash: String
    let precision: DType
    let embeddingSize: Int?
    let partCount: Int
    let preprocessing: String

    init(_ model: LoadedModel) {
        name = model.name
        notes = model.notes
        hash = model.hash
        precision = model.compute.precision
        embeddingSize = model.llava.embeddingSize
        partCount = model.llava.fusion.partCount
        preprocessing = model.preprocessing.identity
    }

    /// Nil for a folder that holds no LLaVA-Mini model with a vision tower: loading it says why.
    ///
    /// - Throws: `WeightsError`, `ModelError`, `ImageError`, each naming the file and the fault.
    public init?(path: String, settings: ModelSettings) throws {
        try settings.validate()
        let checkpoint = try CheckpointFolder(path: path)
        guard checkpoint.language != nil, let fusion = checkpoint.fusion else { return nil }
        try checkpoint.validate()
        guard let vision = checkpoint.vision else { return nil }
        name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
        notes = checkpoint.notes
        hash = ContentHash.sha256(pieces: checkpoint.identityBytes)
        precision = settings.resolvedPrecision(
            parameters: ModelCost(checkpoint).parameters, storedInHalves: checkpoint.storesHalves)
        embeddingSize = checkpoint.embeddingSize
        partCount = fusion.partCount
        preprocessing = try LoadedModel.preprocessing(checkpoint, side: vision.imageSize).identity
    }
}
