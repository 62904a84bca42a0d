public import Tensors

/// How the large matrices of a model folder are stored: `quantization_config` of config.json.
///
/// `docs/models.md`, "Quantized folders", has the tensors and the formulas.
public struct QuantizationConfig: Sendable, Equatable {
    /// The value of `quant_method` for the format of this program.
    public static let method = "longtake"

    /// The format of the frame path's matrices (vision tower, projector, pre-fusion layers): `vision`; nil for "keep".
    public var vision: WeightFormat?
    /// The format of the language model's matrices: `language`; nil for "keep".
    public var language: WeightFormat?
    /// Names of the tensors that stay in floating point because their measured error is too large: `kept`.
    public var kept: [String]

    /// A quantization with these formats.
    public init(vision: WeightFormat?, language: WeightFormat?, kept: [String] = []) {
        self.vision = vision
        self.language = language
        self.kept = kept
    }

    /// The format of the matrices of `part`; nil if they are not quantized.
    public func format(of part: ModelPart) -> WeightFormat? {
        switch part {
        case .language: language
        case .prefusion, .projector, .vision: vision
        case .compressor, .text: nil
        }
    }

    /// Reads `quantization_config`; nil if absent.
    ///
    /// Throws `unsupported` for weights that another program has quantized.
    init?(_ config: ConfigReader) throws {
        guard let quantization = try config.object("quantization_config") else { return nil }
        let method = try quantization.string("quant_method")
        guard method == Self.method else {
            throw CheckpointError.quantizedByOther(config.file, method)
        }
        vision = try Self.format(quantization, "vision", of: [.int8])
        language = try Self.format(quantization, "language", of: [.int8, .int4])
        let size = try quantization.integer("group_size", in: 1...65_536, default: WeightFormat.groupSize)
        guard size == WeightFormat.groupSize else {
            throw CheckpointError.unsupported(
                quantization.file, "group_size", "\(size)", "\(WeightFormat.groupSize)")
        }
        let names = quantization.value("kept")?.arrayValue ?? []
        kept = try names.map {
            guard let name = $0.stringValue else {
                throw CheckpointError.keyType(quantization.file, "kept", "a list of tensor names")
            }
            return name
        }
    }

    private static func format(
        _ config: ConfigReader, _ key: String, of known: [WeightFormat]
    ) throws -> WeightFormat? {
        guard let name = try config.string(key), name != keep else { return nil }
        guard let format = known.first(where: { $0.rawValue == name }) else {
            throw CheckpointError.unsupported(
                config.file, key, "\"\(name)\"", (known.map(\.rawValue) + [keep]).joined(separator: " or "))
        }
        return format
    }

    /// The value of `vision` and `language` for matrices that are not quantized.
    public static let keep = "keep"

    /// The object to store in config.json.
    package var json: JSONValue {
        .object([
            "quant_method": .string(Self.method), "vision": .string(vision?.rawValue ?? Self.keep),
            "language": .string(language?.rawValue ?? Self.keep),
            "group_size": .integer(Int64(WeightFormat.groupSize)), "kept": .array(kept.map { .string($0) }),
        ])
    }
}

extension ExpectedTensor {
    /// Products of 8-bit integers with more inputs might not fit a 32-bit sum.
    private static let maxInputs = 65_536

    /// True for the weight of a large matrix product.
    ///
    /// Embeddings, norms, biases and CLIP's projections are not; nor is the compressor, 0.2 % of a frame's work, which
    /// is computed in f32 in every precision.
    public var isQuantizable: Bool {
        guard shape.count == 2, shape[0] > 1, shape[1] <= Self.maxInputs else { return false }
        switch part {
        case .language: return name != TensorName.tokenEmbeddings
        case .prefusion, .projector: return true
        // The other matrices of a tower are its position embeddings and its projection.
        case .vision: return name.contains(".layers.")
        case .compressor, .text: return false
        }
    }
}

extension ExpectedTensor {
    /// The projections of a language model whose rounding raises perplexity most: docs/models.md, "Quantized folders".
    private static let groupedProjections = [".k_proj.weight", ".down_proj.weight"]

    /// The format of this matrix where its part is quantized to `format`.
    ///
    /// In int8 the language model's output layer, keys and down projections have a scale per group of inputs.
    public func format(in format: WeightFormat) -> WeightFormat {
        guard format == .int8, part == .language else { return format }
        let isGrouped = name == TensorName.outputEmbeddings || Self.groupedProjections.contains { name.hasSuffix($0) }
        return isGrouped ? .int8Groups : .int8
    }
}

extension TensorName {
    /// The name of a quantized matrix's scales.
    public static func scale(of name: String) -> String { name + "_scale" }

    /// The name of an int4 matrix's minima.
    public static func minimum(of name: String) -> String { name + "_min" }
}

extension [String: StoredTensor] {
    /// The format of the matrix `name`, from the element type of its values and the rank of its scales; nil for any
    /// other element type than I8 and U8.
    public func weightFormat(of name: String) -> WeightFormat? {
        switch self[name]?.type {
        case .i8: self[TensorName.scale(of: name)]?.shape.count == 2 ? .int8Groups : .int8
        case .u8: .int4
        default: nil
        }
    }
}

extension DType {
    /// True for the types in which unquantized weights may be stored.
    var isFloatingPoint16To32: Bool { self == .f32 || self == .f16 || self == .bf16 }
}

extension WeightFormat {
    /// The shape of the stored values of a matrix [out, in].
    public func valuesShape(_ shape: [Int]) -> [Int] {
        switch self {
        case .int8, .int8Groups: shape
        case .int4: [shape[0], (shape[1] + 1) / 2]
        }
    }

    /// The shape of the stored scales of a matrix [out, in].
    public func scalesShape(_ shape: [Int]) -> [Int] {
        group.map { [shape[0], (shape[1] + $0 - 1) / $0] } ?? [shape[0]]
    }

    /// The shape of the stored minima of a matrix [out, in], BF16; nil if the format has none.
    public func minimaShape(_ shape: [Int]) -> [Int]? { self == .int4 ? scalesShape(shape) : nil }

    /// The element types of stored values and of scales and minima.
    public var storedTypes: (values: DType, scales: DType) {
        switch self {
        case .int8, .int8Groups: (.i8, .f32)
        case .int4: (.u8, .bf16)
        }
    }

    /// Bytes of the stored values, scales and minima of a matrix [out, in].
    public func storedBytes(_ shape: [Int]) -> Int {
        valuesShape(shape).reduce(1, *) * storedTypes.values.size
            + (scalesShape(shape).reduce(1, *) + (minimaShape(shape)?.reduce(1, *) ?? 0)) * storedTypes.scales.size
    }
}
