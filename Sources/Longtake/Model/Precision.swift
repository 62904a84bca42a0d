internal import Checkpoints
internal import Tensors

/// The choices of precision, besides the one by the model's size.
package enum Precision: String, Sendable, Codable, CaseIterable {
    /// Weights and activations in f32.
    case f32
    /// Weights and activations in bf16.
    case bf16
    /// Large matrix products in int8: a folder whose weights are not quantized is quantized while it is loaded.
    case int8
}

/// The precision that a model is computed in.
struct ResolvedPrecision: Equatable {
    /// The name in index keys: `f32`, `bf16`; `int8`, and `int8:bf16` if the activations between layers are bf16.
    let name: String
    /// The type of activations between layers, and of matrices that are not quantized.
    let activations: DType
    /// True if matrices stored in floating point are quantized to int8 while loading.
    let quantizes: Bool

    private init(name: String, activations: DType, quantizes: Bool = false) {
        self.name = name
        self.activations = activations
        self.quantizes = quantizes
    }

    static let f32 = ResolvedPrecision(name: "f32", activations: .f32)
    static let bf16 = ResolvedPrecision(name: "bf16", activations: .bf16)

    /// Integer products; activations are bf16 where the library multiplies bf16, f32 elsewhere.
    static func int8(_ settings: ModelSettings, quantizes: Bool) -> ResolvedPrecision {
        let upcasts = Compute.upcastsBF16(
            precision: .bf16, backend: settings.backend, instructionSet: settings.instructionSet)
        return ResolvedPrecision(
            name: upcasts ? "int8" : "int8:bf16", activations: upcasts ? .f32 : .bf16, quantizes: quantizes)
    }
}

extension ModelSettings {
    /// Weights smaller than this in f32 are computed in f32.
    static let smallModelBytes = 2 << 30

    /// Returns the precision for a checkpoint of `parameters` parameters.
    ///
    /// Without a choice: int8 for a quantized folder; bf16 for weights that are stored in 16 bits and take 2 GiB or
    /// more in f32; f32 otherwise. The weights of a quantized folder stay as stored, whatever the choice.
    func resolvedPrecision(of checkpoint: CheckpointFolder, parameters: Int) -> ResolvedPrecision {
        switch precision {
        case .f32: return .f32
        case .bf16: return .bf16
        case .int8: return .int8(self, quantizes: !checkpoint.isQuantized)
        case nil:
            if checkpoint.isQuantized { return .int8(self, quantizes: false) }
            return checkpoint.storesHalves && parameters * 4 >= Self.smallModelBytes ? .bf16 : .f32
        }
    }

    /// Returns the precision for the towers of a CLIP checkpoint: f32 without a choice, unless they are quantized.
    func resolvedPrecision(ofTowers checkpoint: CheckpointFolder) -> ResolvedPrecision {
        precision == nil && !checkpoint.isQuantized ? .f32 : resolvedPrecision(of: checkpoint, parameters: 0)
    }
}

extension CheckpointFolder {
    /// The matrices to quantize in memory in this precision.
    func quantizing(in precision: ResolvedPrecision) -> [String: WeightFormat] {
        precision.quantizes ? int8Matrices : [:]
    }

    /// The memory that the weights need in this precision, in bytes: mapped ones too, which must not be read from the
    /// disk for every frame.
    ///
    /// - Parameters:
    ///   - upcasts: bf16 weights are used as stored in f32 computation.
    ///   - withLanguage: false: without the language model's.
    func loadBytes(in precision: ResolvedPrecision, upcasts: Bool, withLanguage: Bool = true) -> Int64 {
        let isWide = precision.activations == .f32 && !(upcasts && storesBFloats)
        return loadBytes(
            as: isWide ? .f32 : .bf16, quantizing: quantizing(in: precision), withLanguage: withLanguage)
    }
}
