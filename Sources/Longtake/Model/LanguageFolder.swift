internal import Checkpoints
internal import Models
internal import Tensors

/// The language model of a folder, loaded alone: a plain Llama, or the one inside a LLaVA-Mini.
struct LanguageFolder {
    let model: LanguageModel
    /// The precision of the computation.
    let precision: String

    /// - Throws: the errors of loading a checkpoint; `LongtakeError` `unsupported_model` for a folder without a
    ///   language model.
    init(path: String, settings: ModelSettings) throws {
        try settings.validate()
        let checkpoint = try CheckpointFolder(path: path)
        guard let language = checkpoint.language else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(path): a \(checkpoint.kind.rawValue) checkpoint has no language model; give a folder of "
                    + "model_type llama or llava_mini_llama")
        }
        try checkpoint.validate()
        let cost = ModelCost(checkpoint)
        let precision = settings.resolvedPrecision(
            parameters: cost.parameters, storedInHalves: checkpoint.storesHalves)
        let upcasts = Compute.upcastsBF16(
            precision: precision, backend: settings.backend, instructionSet: settings.instructionSet)
        let isWide = precision == .f32 && !(upcasts && checkpoint.storesBFloats)
        try MemoryBudget.read()?.check(
            "the weights of \(path)", needed: isWide ? cost.loadBytes.f32 : cost.loadBytes.bf16)
        let compute = try Compute(
            precision: precision, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        model = try LanguageModel(WeightReader(checkpoint.weights.tensors, compute: compute), config: language)
        self.precision = precision.rawValue
    }
}
