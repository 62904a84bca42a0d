internal import Checkpoints
internal import Tensors

/// How the weights of a quantized model folder are stored.
package struct QuantizationSummary: Sendable, Codable {
    /// The format of the frame path's matrices: `int8` or `keep`.
    package let vision: String
    /// The format of the language model's matrices: `int8`, `int4` or `keep`.
    package let language: String
    /// Inputs that share a scale and a minimum in int4.
    package let groupSize: Int
    /// Number of matrices by format.
    package let matrices: [String: Int]
    /// Names of the matrices that stay in floating point because of their error.
    package let kept: [String]
    /// Bytes of memory for the weights.
    package let loadBytes: Int64

    private enum CodingKeys: String, CodingKey {
        case vision, language, matrices, kept
        case groupSize = "group_size"
        case loadBytes = "load_bytes"
    }

    /// The summary of a folder; nil if it is not quantized.
    init?(_ checkpoint: CheckpointFolder) {
        guard checkpoint.isQuantized else { return nil }
        let (own, tower) = (checkpoint.quantization, checkpoint.towerQuantization)
        vision = (own?.vision ?? tower?.vision)?.rawValue ?? QuantizationConfig.keep
        language = own?.language?.rawValue ?? QuantizationConfig.keep
        groupSize = WeightFormat.groupSize
        matrices = checkpoint.quantizedCounts.reduce(into: [:]) { $0[$1.key.name, default: 0] += $1.value }
        var seen: Set<String> = []
        kept = ((own?.kept ?? []) + (tower?.kept ?? [])).filter { seen.insert($0).inserted }
        loadBytes = checkpoint.loadBytes(as: checkpoint.storesHalves ? .bf16 : .f32, quantizing: [:])
    }

    /// Rows of two columns for display.
    var rows: [[String]] {
        let counts = matrices.sorted { $0.key > $1.key }.map { "\($0.value) in \($0.key)" }
        return [["quantized", "vision \(vision), language \(language): \(counts.joined(separator: ", "))"]]
            + (kept.isEmpty ? [] : [["  kept in 16 or 32 bits", kept.joined(separator: ", ")]])
    }
}
