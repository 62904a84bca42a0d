public import Checkpoints
internal import Foundation
public import Media
public import Models
internal import Store
public import Tensors
public import Tokenizers

/// A model ready to index and to answer: weights mapped, tokenizer and preprocessing read from its folder.
///
/// Belongs to one thread, the one that computes.
public final class LoadedModel {
    public let path: String
    /// The folder's name, for people.
    public let name: String
    public let checkpoint: CheckpointFolder
    public let llava: LlavaMini
    public let tokenizer: any Tokenizer
    public let template: ConversationTemplate
    public let preprocessing: ImagePreprocessing
    /// SHA-256 of what identifies the weights and everything that changes what they compute.
    public let hash: String
    public let stopIDs: Set<Int32>
    public let cost: ModelCost
    /// Operations per second of large products, measured once.
    lazy var peak = compute.measurePeak(products: 4)
    /// What its folder says of it, e.g. that its weights are random.
    public var notes: [String] { checkpoint.notes }
    public var compute: Compute { llava.compute }
    /// A sample is fused no further at this relative standard error, unless a question says otherwise; 0: all of it.
    var fusionError: Double { checkpoint.fusionError ?? 0 }
    private let memory: Int64?
    private let warmUp: WarmUp
    /// Seconds from opening the folder to being ready.
    public let loadSeconds: Double

    /// - Throws: `WeightsError`, `ModelError`, `TokenizerError`, `ImageError`, `ComputeError`, each naming the file
    ///   and the fault; `LongtakeError` when the folder is no LLaVA-Mini model or memory is short.
    public convenience init(path: String, settings: ModelSettings) throws {
        try self.init(path: path, settings: settings, budget: MemoryBudget.read())
    }

    /// - Parameter budget: the memory there is for the weights; nil where nobody knows.
    package init(path: String, settings: ModelSettings, budget: MemoryBudget?) throws {
        let start = ContinuousClock.now
        self.path = path
        name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
        try settings.validate()
        memory = settings.memory
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        let loading = BackgroundValue { try TokenizerLoader.load(folder: folder) }
        let checkpoint = try CheckpointFolder(path: path)
        self.checkpoint = checkpoint
        guard let language = checkpoint.language, let fusion = checkpoint.fusion else {
            throw LongtakeError(
                code: .unsupportedModel,
                message:
                    "\(path): not a LLaVA-Mini checkpoint: it is a \(checkpoint.kind.rawValue) checkpoint, questions need a LLaVA-Mini one "
                    + "(model_type llava_mini_llama)")
        }
        try checkpoint.validate()
        guard let vision = checkpoint.vision else {
            throw LongtakeError(
                code: .unsupportedModel,
                message:
                    "\(path) has no vision tower: mm_vision_tower names a folder that is not there, and the checkpoint "
                    + "holds none")
        }
        cost = ModelCost(checkpoint)
        let precision = settings.resolvedPrecision(parameters: cost.parameters, storedInHalves: checkpoint.storesHalves)
        let widens = Compute.widens(
            precision: precision, backend: settings.backend, instructionSet: settings.instructionSet)
        let isWide = precision == .f32 && !(widens && checkpoint.storesBFloats)
        // Weights computed with as they are stored stay in the mapping; they must fit all the same, or every frame reads the disk.
        try budget?.check("the weights of \(name)", needed: isWide ? cost.loadBytes.f32 : cost.loadBytes.bf16)
        // What starting needs was looked at before the files took their address space.
        if checkpoint.weights.dataBytes >= 1 << 30 {
            try StartingLimits.checkMemory(threads: settings.threads, beside: isWide ? cost.loadBytes.f32 : 0)
        }
        warmUp = WarmUp(precision: precision, backend: settings.backend)
        let hashing = BackgroundValue { ContentHash.sha256(pieces: checkpoint.identityBytes) }
        let compute = try Compute(
            precision: precision, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        llava = try LlavaMini(
            WeightReader(checkpoint.weights.tensors, compute: compute),
            tower: WeightReader(checkpoint.towerTensors, prefix: "vision_model.", compute: compute),
            embedding: checkpoint.embeddingSize == nil
                ? nil : WeightReader(checkpoint.towerTensors, prefix: "visual_projection.", compute: compute),
            language: language, vision: vision, fusion: fusion)
        tokenizer = try loading.value()
        template = try TemplateChoice.choose(folder: folder, tokenizer: tokenizer).template
        preprocessing = try Self.preprocessing(checkpoint, side: vision.imageSize)
        guard tokenizer.vocabularySize <= language.vocabularySize else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(path): the tokenizer has \(tokenizer.vocabularySize) ids, the model's vocab_size is "
                    + "\(language.vocabularySize): tokenizer and weights are from different models")
        }
        stopIDs = Set(checkpoint.stopTokenIDs.map { Int32($0) })
        hash = try hashing.value()
        let took = ContinuousClock.now - start
        loadSeconds = took.seconds
    }

    /// Whether work may take so many bytes beside the weights.
    ///
    /// - Throws: `CheckpointError` `not_enough_memory` with both numbers.
    func checkMemory(_ what: String, needed: Int64) throws {
        if let memory, needed > memory {
            throw CheckpointError(
                .notEnoughMemory, "\(what) needs about \(needed) bytes beside the weights, --memory allows \(memory)")
        }
        try MemoryBudget.read()?.check(what, needed: needed)
    }

    /// How the model in `path` gets its frames, and its resolution ratio (1 for one picture per frame).
    static func preprocessing(path: String) throws -> (ImagePreprocessing, ratio: Int) {
        let checkpoint = try CheckpointFolder(path: path)
        guard let vision = checkpoint.vision else {
            throw LongtakeError(code: .unsupportedModel, message: "\(path) has no vision tower")
        }
        let ratio = (checkpoint.fusion?.partCount ?? 1) > 1 ? checkpoint.fusion?.resolutionRatio ?? 1 : 1
        return (try preprocessing(checkpoint, side: vision.imageSize), ratio)
    }

    /// The preprocessing for a tower that takes squares of `side`.
    static func preprocessing(_ checkpoint: CheckpointFolder, side: Int) throws -> ImagePreprocessing {
        guard let config = checkpoint.preprocessorConfigBytes else {
            return ImagePreprocessing.clip(side: side, imageAspectRatio: checkpoint.imageAspectRatio)
        }
        let preprocessing = try ImagePreprocessing(
            preprocessorConfig: config, imageAspectRatio: checkpoint.imageAspectRatio)
        guard preprocessing.side == side else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "preprocessor_config.json makes pictures of \(preprocessing.side)×\(preprocessing.side), but "
                    + "the vision tower takes \(side)×\(side)")
        }
        return preprocessing
    }

    /// The prompt's ids for a question about a recording (or, without one, plain text), behind what was said before.
    public func prompt(_ question: String, history: [PromptTurn] = [], withRecording: Bool = true) throws -> Prompt {
        try PromptBuilder(tokenizer: tokenizer, template: template).build(
            question: question, history: history, withImage: withRecording)
    }
}

extension CheckpointFolder {
    /// What the language model's large weights are stored in.
    private var storage: ElementType? { weights.tensors["model.layers.0.mlp.gate_proj.weight"]?.type }

    /// Whether they take 16 bits.
    var storesHalves: Bool { storage == .bf16 || storage == .f16 }

    /// Whether they are bf16, which some instruction sets compute with in f32 as it is stored.
    var storesBFloats: Bool { storage == .bf16 }
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
