import Foundation
internal import Tensors

/// The kind of model in a folder, from `model_type` of config.json.
public enum CheckpointKind: String, Sendable, Codable {
    case llavaMini = "llava_mini"
    /// LLaVA-v1.5, in the original's layout or in that of transformers.
    case llava
    case llama
    case clip
    case clipVision = "clip_vision"
}

/// The source of the vision tower's tensors.
public enum TowerSource: String, Sendable, Codable {
    /// The folder named by `mm_vision_tower`, or the CLIP folder itself.
    case folder
    /// The checkpoint's `model.vision_tower.vision_tower.*` tensors.
    case insideCheckpoint = "inside_checkpoint"
}

/// A model folder in Hugging Face layout: its validated configuration and its mapped weights.
///
/// Opening reads only the small files and the tensor headers. It throws `CheckpointError` (configuration) or
/// `WeightsError` (files); `validate()` then compares the tensors with the configuration.
public struct CheckpointFolder: Sendable {
    /// The folder's path as given to `init`.
    public let path: String
    /// The kind of model.
    public let kind: CheckpointKind
    /// `model_type` of config.json.
    public let modelType: String
    /// Set for LLaVA-Mini, LLaVA-v1.5 and Llama.
    public let language: LanguageConfig?
    /// Set for LLaVA-Mini and LLaVA-v1.5.
    public let fusion: FusionConfig?
    /// The attention heads that locate evidence; set for LLaVA-Mini if config.json names them.
    public let evidence: EvidenceConfig?
    /// How the weights of this folder are quantized; nil if they are not.
    public let quantization: QuantizationConfig?
    /// How the weights in `towerFolder` are quantized; nil if they are not, or if there is no such folder.
    public let towerQuantization: QuantizationConfig?
    /// Set for every kind but Llama.
    public let vision: VisionConfig?
    /// Set for two-tower CLIP.
    public let textTower: TextTowerConfig?
    /// The vision tower's folder; nil for Llama, and if only the checkpoint itself holds a tower.
    public let towerFolder: String?
    /// Where `towerTensors` come from; nil for Llama.
    public let towerSource: TowerSource?
    /// `image_aspect_ratio`; "square" if absent.
    public let imageAspectRatio: String
    /// Token IDs that end an answer: `eos_token_id` of generation_config.json, else of config.json.
    public let stopTokenIDs: [Int]
    /// `bos_token_id` of config.json (the first of a list).
    public let beginTokenID: Int?
    /// `tokenizer_model_max_length`; the reference truncates the assembled sequence to this length.
    public let tokenizerModelMaxLength: Int?
    /// `temperature` of generation_config.json; nil if absent.
    public let temperature: Double?
    /// `top_p` of generation_config.json; nil if absent.
    public let topP: Double?
    /// The relative standard error measured to be small enough for this model; nil if it was not measured.
    ///
    /// Source: `longtake_fusion_error` of generation_config.json.
    public let fusionError: Double?
    /// The contents of config.json.
    public let configBytes: [UInt8]
    /// The contents of preprocessor_config.json, from the tower's folder, else from this one; nil if absent.
    public let preprocessorConfigBytes: [UInt8]?
    /// The base model's folder if this one is a LoRA adapter; nil otherwise.
    public let baseFolder: String?
    /// The contents of adapter_config.json if this is a LoRA adapter.
    let adapterConfigBytes: [UInt8]?
    /// The paths of the tokenizer files.
    public let tokenizer: TokenizerFiles
    /// The weights in this folder, or in `weightsFrom` if given.
    public let weights: WeightsFolder
    /// The weights in `towerFolder`; set if `towerSource` is `.folder` and the tower is not this folder.
    public let towerWeights: WeightsFolder?
    /// The contents of the tower folder's config.json; nil if there is no such folder.
    public let towerConfigBytes: [UInt8]?
    /// Unusual but harmless findings, one sentence each.
    public let notes: [String]

    /// True if a video frame is prepared as a still image: LLaVA-v1.5 was trained on those alone.
    public var readsFramesAsImages: Bool { kind == .llava }

    static let smallFileLimit = 8 << 20

    /// Opens the model folder `path`.
    ///
    /// - Parameters:
    ///   - weightsFrom: another folder whose weights to use.
    ///   - environment: locates the Hugging Face hub cache; nil: the process's environment.
    /// - Throws: `CheckpointError` or `WeightsError`.
    public init(
        path: String, weightsFrom: String? = nil, environment: [String: String]? = nil
    ) throws {
        let environment = environment ?? ProcessInfo.processInfo.environment
        guard FolderPath.isFolder(path) else { throw FolderDiagnosis.notAFolder(path, environment: environment) }
        if let fault = FolderDiagnosis.fault(of: path, weights: weightsFrom) { throw fault }
        let adapter = try weightsFrom == nil ? LoraAdapter(folder: path, environment: environment) : nil
        baseFolder = adapter?.base
        adapterConfigBytes = adapter?.configBytes
        func folder(of name: String) throws -> String {
            guard let base = adapter?.base, try FolderPath.resolve(name, in: path) == nil else { return path }
            return base
        }
        // What an adapter's folder lacks is its base model's.
        let configFolder = try folder(of: "config.json")
        let file = configFolder + "/config.json"
        guard let bytes = try FolderPath.read("config.json", in: configFolder, limit: Self.smallFileLimit) else {
            throw CheckpointError.configMissing(file)
        }
        var config = try ConfigReader(file: file, bytes: bytes)
        guard let type = try config.string("model_type") else { throw CheckpointError.keyMissing(file, "model_type") }
        let kind = try Self.kind(of: type, file: file)
        quantization = try QuantizationConfig(config)
        var weights = try adapter.map { try WeightsFolder($0) } ?? WeightsFolder(path: weightsFrom ?? path)
        var notes = weights.notes
        // `_longtake` is written by `RandomCheckpoint`.
        if let note = try config.string("_longtake") { notes.append(note) }

        let layout = try LlavaHFLayout(config)
        if let layout {
            config = layout.config
            weights = weights.renamed(LlavaHFLayout.originalName)
        }

        self.path = path
        self.kind = kind
        modelType = type
        configBytes = bytes
        self.weights = weights
        tokenizer = try TokenizerFiles(folder: Self.tokenizerFolder(of: path, base: adapter?.base))

        var tower = Tower()
        switch kind {
        case .llama:
            language = try LanguageConfig(config)
            fusion = nil
            evidence = nil
            textTower = nil
        case .llavaMini:
            let fusion = try FusionConfig(config)
            let language = try LanguageConfig(config)
            evidence = try EvidenceConfig(config, language: language)
            self.language = language
            tower = try Tower(of: config, folder: configFolder, weights: weights, environment: environment)
            try tower.check(config, fusion: fusion)
            self.fusion = fusion
            textTower = nil
        case .llava:
            let language = try LanguageConfig(config)
            evidence = try EvidenceConfig(config, language: language)
            self.language = language
            tower =
                try layout.map { Tower(insideCheckpoint: $0.vision) }
                ?? Tower(of: config, folder: configFolder, weights: weights, environment: environment)
            let fusion = try tower.vision.map { try FusionConfig(uncompressed: config, vision: $0) }
            if let fusion { try tower.check(config, fusion: fusion) }
            self.fusion = fusion
            textTower = nil
        case .clip, .clipVision:
            language = nil
            fusion = nil
            evidence = nil
            (tower.vision, textTower) = try Self.towers(config, kind: kind)
            tower.folder = path
            tower.source = .folder
            tower.quantization = quantization
        }
        vision = tower.vision
        towerFolder = tower.folder
        towerSource = tower.source
        towerWeights = tower.weights
        towerConfigBytes = tower.configBytes
        towerQuantization = tower.quantization
        notes += tower.notes
        self.notes = notes

        let generation = try Self.generationConfig(in: folder(of: "generation_config.json"))
        let ids = 0...16_777_215
        stopTokenIDs =
            language == nil
            ? []
            : try generation?.integers("eos_token_id", in: ids) ?? config.integers("eos_token_id", in: ids) ?? []
        beginTokenID = language == nil ? nil : try config.integers("bos_token_id", in: ids)?.first
        temperature =
            try generation?.value("temperature") == nil
            ? nil : generation?.double("temperature", in: 0...100)
        topP = try generation?.value("top_p") == nil ? nil : generation?.double("top_p", in: 0...1)
        fusionError =
            try generation?.value("longtake_fusion_error") == nil
            ? nil : generation?.double("longtake_fusion_error", in: 0...1)
        imageAspectRatio = try config.string("image_aspect_ratio") ?? "square"
        tokenizerModelMaxLength = try Self.maxLength(config)
        preprocessorConfigBytes = try Self.preprocessor(
            tower: tower.folder, checkpoint: folder(of: "preprocessor_config.json"))
    }

    /// The folder whose tokenizer the model in `path` has: its own, or the base model's of a LoRA adapter without one.
    ///
    /// - Parameter environment: locates the Hugging Face hub cache; nil: the process's environment.
    public static func tokenizerFolder(of path: String, environment: [String: String]? = nil) throws -> String {
        let environment = environment ?? ProcessInfo.processInfo.environment
        return try tokenizerFolder(of: path, base: LoraAdapter.base(of: path, environment: environment))
    }

    private static func tokenizerFolder(of path: String, base: String?) throws -> String {
        guard let base else { return path }
        let own = try TokenizerFiles(folder: path)
        return own.tokenizerJSON == nil && own.sentencePiece == nil && own.vocabulary == nil ? base : path
    }

    private static func kind(of type: String, file: String) throws -> CheckpointKind {
        switch type {
        case "llava_mini_llama": .llavaMini
        // The first checkpoints of the original have transformers' name.
        case "llava_llama", "llava": .llava
        case "llama": .llama
        case "clip": .clip
        case "clip_vision_model": .clipVision
        default: throw FolderDiagnosis.otherModel(file, type)
        }
    }

    /// The vision config, and the text config of a two-tower model.
    static func towers(
        _ config: ConfigReader, kind: CheckpointKind
    ) throws -> (vision: VisionConfig, text: TextTowerConfig?) {
        guard kind == .clip else { return (try VisionConfig(config, projectionSize: nil), nil) }
        let projection = try config.integer("projection_dim", in: 1...65_536, default: 512)
        // Old OpenAI configs repeat the values under "…_dict", and transformers gives those precedence.
        func part(_ key: String) throws -> ConfigReader {
            let plain = try config.object(key), override = try config.object(key + "_dict")
            return ConfigReader(
                file: "\(config.file): \(key)",
                members: (plain?.members ?? [:]).merging(override?.members ?? [:]) { _, new in new })
        }
        return (
            try VisionConfig(part("vision_config"), projectionSize: projection),
            try TextTowerConfig(part("text_config"), projectionSize: projection)
        )
    }

    private static func generationConfig(in folder: String) throws -> ConfigReader? {
        let name = "generation_config.json"
        guard let bytes = try FolderPath.read(name, in: folder, limit: smallFileLimit) else { return nil }
        return try ConfigReader(file: folder + "/" + name, bytes: bytes)
    }

    private static func maxLength(_ config: ConfigReader) throws -> Int? {
        // Tokenizers without a limit store 1e30, which no sequence reaches.
        guard let value = config.value("tokenizer_model_max_length") else { return nil }
        if case .number(let number) = value, number >= 1e9 { return nil }
        return try config.integer("tokenizer_model_max_length", in: 1...Int.max)
    }

    private static func preprocessor(tower: String?, checkpoint: String) throws -> [UInt8]? {
        let name = "preprocessor_config.json"
        if let tower, let bytes = try FolderPath.read(name, in: tower, limit: smallFileLimit) { return bytes }
        if let bytes = try FolderPath.read(name, in: checkpoint, limit: smallFileLimit) { return bytes }
        // transformers 5 writes it into the file of the whole processor.
        let whole = "processor_config.json"
        guard let bytes = try FolderPath.read(whole, in: checkpoint, limit: smallFileLimit) else { return nil }
        let processor = try ConfigReader(file: checkpoint + "/" + whole, bytes: bytes).object("image_processor")
        return processor.map { Array(JSONValue.object($0.members).text(indented: false).utf8) }
    }
}

/// The resolved paths of a folder's tokenizer files; nil if there is no such file.
public struct TokenizerFiles: Sendable, Equatable {
    /// tokenizer.json.
    public let tokenizerJSON: String?
    /// tokenizer.model.
    public let sentencePiece: String?
    /// tokenizer_config.json.
    public let tokenizerConfig: String?
    /// special_tokens_map.json.
    public let specialTokensMap: String?
    /// vocab.json.
    public let vocabulary: String?
    /// merges.txt.
    public let merges: String?

    /// Resolves the names in `folder`; throws `path_refused` for a link that leads out of it.
    public init(folder: String) throws {
        tokenizerJSON = try FolderPath.resolve("tokenizer.json", in: folder)
        sentencePiece = try FolderPath.resolve("tokenizer.model", in: folder)
        tokenizerConfig = try FolderPath.resolve("tokenizer_config.json", in: folder)
        specialTokensMap = try FolderPath.resolve("special_tokens_map.json", in: folder)
        vocabulary = try FolderPath.resolve("vocab.json", in: folder)
        merges = try FolderPath.resolve("merges.txt", in: folder)
    }
}
