package import Tensors

/// The result of quantizing a model folder.
package struct QuantizationReport: Sendable, Encodable {
    /// One matrix: the format it is stored in and its deviation from the original weights.
    package struct Matrix: Sendable, Encodable {
        /// The tensor's name in the folder.
        package let name: String
        /// The format it is stored in; nil if it is kept in floating point.
        package let format: WeightFormat?
        /// The format whose error was measured: `format`, or the last one that was tried.
        package let measured: WeightFormat
        /// The deviation in `measured`.
        let error: QuantizationError

        /// The relative root mean square error.
        package var relative: Double { error.relative }
        /// The error relative to the typical weight.
        package var relativeToTypical: Double { error.relativeToTypical }
        /// The cosine to the original weights.
        package var cosine: Double { error.cosine }
        /// The largest weight of a row in root mean squares of its row.
        package var outlier: Double { error.outlier }

        private enum CodingKeys: String, CodingKey {
            case name, format, cosine, outlier
            case relative = "relative_error"
            case relativeToTypical = "error_to_typical_weight"
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(format?.name ?? "kept", forKey: .format)
            // Weights that are not finite have no error to report.
            func finite(_ value: Double, _ key: CodingKeys) throws {
                if value.isFinite {
                    try container.encode(value, forKey: key)
                } else {
                    try container.encodeNil(forKey: key)
                }
            }
            try finite(relative, .relative)
            try finite(relativeToTypical, .relativeToTypical)
            try finite(cosine, .cosine)
            try finite(outlier, .outlier)
        }
    }

    /// The folder that was written.
    package let path: String
    /// The format of the frame path's matrices, or "keep".
    package let vision: String
    /// The format of the language model's matrices, or "keep".
    package let language: String
    /// Bytes of tensor data in the folder.
    package let bytes: Int64
    /// Bytes of tensor data in the folder it was made from.
    package let sourceBytes: Int64
    /// The matrices, in the order of their files.
    package let matrices: [Matrix]
    /// Names of the matrices that stay in floating point because of their error.
    package var kept: [String] { matrices.filter { $0.format == nil }.map(\.name) }

    private enum CodingKeys: String, CodingKey {
        case path, vision, language, bytes, kept, matrices
        case sourceBytes = "source_bytes"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(path, forKey: .path)
        try container.encode(vision, forKey: .vision)
        try container.encode(language, forKey: .language)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(sourceBytes, forKey: .sourceBytes)
        try container.encode(kept, forKey: .kept)
        try container.encode(matrices, forKey: .matrices)
    }

    /// The matrices of one layer together.
    package struct Layer: Sendable {
        /// The common beginning of their names, for example `model.layers.3`.
        package let name: String
        /// Its matrices.
        package let matrices: [Matrix]
        /// The matrix with the largest relative error.
        package var worst: Matrix? { matrices.max { $0.relative < $1.relative } }
        /// The formats it is stored in, for example "int8" or "int4, int8, 1 kept".
        package var formats: String {
            let used = [WeightFormat.int8, .int4].filter { format in
                matrices.contains { $0.format?.name == format.name }
            }
            let kept = matrices.count { $0.format == nil }
            return (used.map(\.name) + (kept > 0 ? ["\(kept) kept"] : [])).joined(separator: ", ")
        }
    }

    /// The layers, in the order of the files.
    package var layers: [Layer] {
        var order: [String] = []
        var byName: [String: [Matrix]] = [:]
        for matrix in matrices {
            let name = Self.layerName(of: matrix.name)
            if byName[name] == nil { order.append(name) }
            byName[name, default: []].append(matrix)
        }
        return order.map { Layer(name: $0, matrices: byName[$0] ?? []) }
    }

    /// `model.layers.3` of `model.layers.3.mlp.up_proj.weight`, `lm_head` of `lm_head.weight`.
    static func layerName(of tensor: String) -> String {
        let parts = tensor.split(separator: ".")
        let end = parts.firstIndex { Int($0) != nil }
        return (end.map { parts[...$0] } ?? parts.dropLast()).joined(separator: ".")
    }
}
