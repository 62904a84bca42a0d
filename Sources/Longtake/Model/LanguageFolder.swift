internal import Checkpoints
internal import Models
internal import Tensors

/// The language model of a folder, loaded alone: a plain Llama, or the one inside a LLaVA-Mini or LLaVA-1.5.
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
                    + "model_type llama, llava_mini_llama, llava_llama or llava")
        }
        try checkpoint.validate()
        let cost = ModelCost(checkpoint)
        let precision = settings.resolvedPrecision(of: checkpoint, parameters: cost.parameters)
        let upcasts = Compute.upcastsBF16(
            precision: precision.activations, backend: settings.backend, instructionSet: settings.instructionSet)
        try MemoryBudget.read()?.check(
            "the weights of \(path)", needed: checkpoint.loadBytes(in: precision, upcasts: upcasts))
        let compute = try Compute(
            precision: precision.activations, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        model = try LanguageModel(
            WeightReader(
                checkpoint.weights.tensors, compute: compute, quantizing: checkpoint.quantizing(in: precision)),
            config: language)
        self.precision = precision.name
    }
}
