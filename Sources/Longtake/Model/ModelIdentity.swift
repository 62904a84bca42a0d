internal import Checkpoints
internal import Foundation
internal import Media
internal import Models
internal import Store
internal import Tensors

/// The parts of a model that an index depends on, read from its folder without loading weights.
package struct ModelIdentity: Sendable {
    /// The folder's name, for display.
    package let name: String
    /// Notes about the checkpoint, for example that its weights are random.
    package let notes: [String]
    /// SHA-256 of the data that identifies the weights and of everything that changes the computed values.
    let hash: String
    /// The precision's name in index keys.
    package let precision: String
    let embeddingSize: Int?
    let partCount: Int
    let preprocessing: String

    init(_ model: LoadedModel) {
        name = model.name
        notes = model.notes
        hash = model.hash
        precision = model.precision.name
        embeddingSize = model.llava.embeddingSize
        partCount = model.llava.fusion.partCount
        preprocessing = model.preprocessing.identity
    }

    /// Reads the identity of a model; nil if the folder is not a LLaVA-Mini or LLaVA-1.5 model with a vision tower.
    ///
    /// `LoadedModel` reports the reason. Throws `WeightsError`, `ModelError`, `ImageError`, each naming the file and
    /// the problem.
    package init?(path: String, settings: ModelSettings) throws {
        try settings.validate()
        let checkpoint = try CheckpointFolder(path: path)
        guard checkpoint.language != nil, let fusion = checkpoint.fusion else { return nil }
        try checkpoint.validate()
        guard let vision = checkpoint.vision else { return nil }
        name = ModelFolder.name(of: path)
        notes = checkpoint.notes
        hash = ContentHash.sha256(pieces: checkpoint.identityBytes)
        precision = settings.resolvedPrecision(of: checkpoint, parameters: ModelCost(checkpoint).parameters).name
        embeddingSize = checkpoint.embeddingSize
        partCount = fusion.partCount
        preprocessing = try LoadedModel.preprocessing(checkpoint, side: vision.imageSize).identity
    }
}
