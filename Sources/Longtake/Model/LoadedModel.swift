package import Checkpoints
internal import Foundation
package import Media
package import Models
internal import Store
package import Tensors
package import Tokenizers

/// A model ready to index and answer: weights mapped, tokenizer and preprocessing loaded from its folder.
///
/// Belongs to the thread that computes.
package final class LoadedModel {
    /// Path of the model's folder.
    package let path: String
    /// The folder's name, for display.
    package let name: String
    /// The checkpoint in the folder.
    package let checkpoint: CheckpointFolder
    /// The network with its weights.
    package let llava: LlavaMini
    /// The tokenizer of the language model.
    package let tokenizer: any Tokenizer
    /// The conversation template of prompts.
    package let template: ConversationTemplate
    /// How frames are converted to the vision tower's input.
    package let preprocessing: ImagePreprocessing
    /// SHA-256 of the data that identifies the weights and of everything that changes the computed values.
    package let hash: String
    /// Token IDs that end an answer.
    package let stopIDs: Set<Int32>
    /// The model's size and number of operations.
    package let cost: ModelCost
    /// Peak speed of large matrix products in operations per second, in integers if those of the frame path are;
    /// measured on first use.
    lazy var peak: Double = {
        let integers =
            precision.quantizes || checkpoint.quantization?.vision != nil
            ? try? compute.measureQuantized(.int8, rows: 512, inputs: 1024, outputs: 1024, products: 4) : nil
        return integers ?? compute.measurePeak(products: 4)
    }()
    /// Notes about the checkpoint, for example that its weights are random.
    package var notes: [String] { checkpoint.notes }
    /// The compute backend the model runs on.
    package var compute: Compute { llava.compute }
    /// The relative standard error at which fusing a sample of frames stops; 0 fuses the whole sample. A question can
    /// override it.
    var fusionError: Double { checkpoint.fusionError ?? 0 }
    /// The precision it is computed in.
    let precision: ResolvedPrecision
    private let memory: Int64?
    private let warmUp: WarmUp
    /// Seconds from opening the folder until the model was ready.
    package let loadSeconds: Double

    /// Loads a model.
    ///
    /// - Parameter forFrames: the language model will not be used: its weights need no memory.
    /// - Throws: `WeightsError`, `ModelError`, `TokenizerError`, `ImageError`, `ComputeError`, each naming the file and
    ///   the problem; `LongtakeError` if the folder is not a LLaVA-Mini model or there is too little memory.
    package convenience init(path: String, settings: ModelSettings, forFrames: Bool = false) throws {
        try self.init(path: path, settings: settings, budget: MemoryBudget.read(), forFrames: forFrames)
    }

    /// Loads a model.
    ///
    /// - Parameter budget: the memory available for the weights; nil if unknown.
    package init(path: String, settings: ModelSettings, budget: MemoryBudget?, forFrames: Bool = false) throws {
        let start = ContinuousClock.now
        self.path = path
        name = ModelFolder.name(of: path)
        try settings.validate()
        memory = settings.memory
        let folder = URL(
            fileURLWithPath: (try? CheckpointFolder.tokenizerFolder(of: path)) ?? path, isDirectory: true)
        let loading = BackgroundValue { try TokenizerLoader.load(folder: folder) }
        let checkpoint = try CheckpointFolder(path: path)
        self.checkpoint = checkpoint
        guard let language = checkpoint.language, let fusion = checkpoint.fusion else {
            throw LongtakeError(
                code: .unsupportedModel,
                message:
                    "\(path): not a LLaVA-Mini checkpoint: it is a \(checkpoint.kind.rawValue) checkpoint, questions need a LLaVA-Mini one "
                    + "(model_type llava_mini_llama) or LLaVA-1.5 (llava_llama, llava)")
        }
        try checkpoint.validate()
        guard let vision = checkpoint.vision else {
            throw LongtakeError(
                code: .unsupportedModel,
                message:
                    "\(path) has no vision tower: mm_vision_tower names a folder that does not exist, and the "
                    + "checkpoint does not contain one")
        }
        cost = ModelCost(checkpoint)
        let precision = settings.resolvedPrecision(of: checkpoint, parameters: cost.parameters)
        self.precision = precision
        let type = precision.activations
        let upcasts = Compute.upcastsBF16(
            precision: type, backend: settings.backend, instructionSet: settings.instructionSet)
        let needed = checkpoint.loadBytes(in: precision, upcasts: upcasts, withLanguage: !forFrames)
        // Weights used as stored stay in the mapping. They must still fit in memory, or every frame reads the disk.
        try budget?.check("the weights of \(name)", needed: needed)
        // The limits at start were checked before the weight files took address space.
        if checkpoint.weights.dataBytes >= 1 << 30 {
            let isCopied = precision.quantizes || type == .f32 && !(upcasts && checkpoint.storesBFloats)
            try StartingLimits.checkMemory(threads: settings.threads, plus: isCopied ? needed : 0)
        }
        warmUp = WarmUp(precision: type, backend: settings.backend)
        let hashing = BackgroundValue { ContentHash.sha256(pieces: checkpoint.identityBytes) }
        let compute = try Compute(
            precision: type, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        let quantizing = checkpoint.quantizing(in: precision)
        llava = try LlavaMini(
            WeightReader(checkpoint.weights.tensors, compute: compute, quantizing: quantizing),
            tower: WeightReader(
                checkpoint.towerTensors, prefix: TensorName.visionTower, compute: compute, quantizing: quantizing),
            embedding: checkpoint.embeddingSize == nil
                ? nil : WeightReader(checkpoint.towerTensors, prefix: TensorName.visualProjection, compute: compute),
            language: language, vision: vision, fusion: fusion, keyValues: settings.keyValues)
        tokenizer = try loading.value()
        template = try TemplateChoice.choose(folder: folder, tokenizer: tokenizer).template
        preprocessing = try Self.preprocessing(checkpoint, side: vision.imageSize)
        guard tokenizer.vocabularySize <= language.vocabularySize else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(path): the tokenizer has \(tokenizer.vocabularySize) IDs, the model's vocab_size is "
                    + "\(language.vocabularySize): tokenizer and weights are from different models")
        }
        stopIDs = Set(checkpoint.stopTokenIDs.map { Int32($0) })
        hash = try hashing.value()
        let took = ContinuousClock.now - start
        loadSeconds = took.seconds
    }

    /// Checks that work may use `needed` bytes in addition to the weights.
    ///
    /// - Throws: `Failure` or `CheckpointError` `not_enough_memory` with both sizes.
    func checkMemory(_ what: String, needed: Int64) throws {
        if let memory, needed > memory {
            throw Failure(
                code: CheckpointError.Code.notEnoughMemory.rawValue,
                message: "\(what) needs about \(needed) bytes in addition to the weights, the limit is \(memory)",
                exitCode: Exit.space, remedy: .memoryLimit)
        }
        try MemoryBudget.read()?.check(what, needed: needed)
    }

    /// Returns the frame preprocessing of the model in `path` and its resolution ratio (1 for one image per frame).
    static func preprocessing(path: String) throws -> (ImagePreprocessing, ratio: Int) {
        let checkpoint = try CheckpointFolder(path: path)
        guard let vision = checkpoint.vision else {
            throw LongtakeError(code: .unsupportedModel, message: "\(path) has no vision tower")
        }
        let ratio = (checkpoint.fusion?.partCount ?? 1) > 1 ? checkpoint.fusion?.resolutionRatio ?? 1 : 1
        return (try preprocessing(checkpoint, side: vision.imageSize), ratio)
    }

    /// Returns the preprocessing for a vision tower whose input is `side` × `side` pixels.
    static func preprocessing(_ checkpoint: CheckpointFolder, side: Int) throws -> ImagePreprocessing {
        guard let config = checkpoint.preprocessorConfigBytes else {
            return ImagePreprocessing.clip(
                side: side, imageAspectRatio: checkpoint.imageAspectRatio,
                framesAsImages: checkpoint.readsFramesAsImages)
        }
        let preprocessing = try ImagePreprocessing(
            preprocessorConfig: config, imageAspectRatio: checkpoint.imageAspectRatio,
            framesAsImages: checkpoint.readsFramesAsImages)
        guard preprocessing.side == side else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "preprocessor_config.json produces images of \(preprocessing.side)×\(preprocessing.side), but "
                    + "the vision tower takes \(side)×\(side)")
        }
        return preprocessing
    }

    /// Builds the prompt for a question about a recording (or, without one, plain text), after the earlier turns.
    ///
    /// - Parameter answerStart: how the answer begins, which the model continues.
    package func prompt(
        _ question: String, history: [PromptTurn] = [], withRecording: Bool = true, answerStart: String = ""
    ) throws -> Prompt {
        try PromptBuilder(tokenizer: tokenizer, template: template).build(
            question: question, history: history, withImage: withRecording, answerStart: answerStart)
    }
}

extension CheckpointFolder {
    /// The type in which the language model's large weights are stored; of a quantized one that of its embeddings.
    private var storage: DType? {
        let tensors = weights.tensors
        return [TensorName.languageLayer(0) + "mlp.gate_proj.weight", TensorName.tokenEmbeddings].lazy
            .compactMap { tensors[$0]?.type }.first { $0 != .i8 && $0 != .u8 }
    }

    /// True if they are stored in 16 bits.
    var storesHalves: Bool { storage == .bf16 || storage == .f16 }

    /// True if they are stored as bf16, which some instruction sets upcast on use in f32 computation.
    var storesBFloats: Bool { storage == .bf16 }
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
