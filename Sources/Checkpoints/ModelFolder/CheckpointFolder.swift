import Foundation
internal import Tensors

/// What a model folder holds.
public enum CheckpointKind: String, Sendable, Codable {
    case llavaMini = "llava_mini"
    case llama
    case clip
    case clipVision = "clip_vision"
}

/// Where the vision tower's tensors are taken from.
public enum TowerSource: String, Sendable, Codable {
    /// The folder that `mm_vision_tower` names, or the CLIP folder itself.
    case folder
    /// `model.vision_tower.vision_tower.*` of the checkpoint.
    case insideCheckpoint = "inside_checkpoint"
}

/// A model folder in the Hugging Face layout: its configuration, checked, and its weights, mapped.
///
/// Opening reads the small files and the headers only. It throws `CheckpointError` (configuration) or `WeightsError` (files);
/// `validate()` then compares the tensors with the configuration.
public struct CheckpointFolder: Sendable {
    public let path: String
    public let kind: CheckpointKind
    /// `model_type` of config.json.
    public let modelType: String
    /// LLaVA-Mini and Llama.
    public let language: LanguageConfig?
    /// LLaVA-Mini only.
    public let fusion: FusionConfig?
    /// Which heads say where an answer was seen; LLaVA-Mini only, nil where config.json names none.
    public let evidence: EvidenceConfig?
    /// Everything but Llama.
    public let vision: VisionConfig?
    /// Two-tower CLIP only.
    public let textTower: TextTowerConfig?
    /// The folder of the vision tower; nil for Llama, and where no folder was found but the checkpoint holds a tower.
    public let towerFolder: String?
    public let towerSource: TowerSource?
    /// `image_aspect_ratio`; "square" where absent.
    public let imageAspectRatio: String
    /// Ids that end an answer: `eos_token_id` of generation_config.json, else of config.json.
    public let stopTokenIDs: [Int]
    public let beginTokenID: Int?
    /// `tokenizer_model_max_length`: the reference cuts the assembled sequence off there.
    public let tokenizerModelMaxLength: Int?
    /// Defaults of generation_config.json; nil where it has none.
    public let temperature: Double?
    public let topP: Double?
    /// The relative standard error that was measured to be small enough for this model; nil where nobody measured.
    ///
    /// Source: `longtake_fusion_error` of generation_config.json.
    public let fusionError: Double?
    /// config.json as it is on disk.
    public let configBytes: [UInt8]
    public let generationConfigBytes: [UInt8]?
    /// preprocessor_config.json of the tower's folder, else of this one.
    public let preprocessorConfigBytes: [UInt8]?
    public let tokenizer: TokenizerFiles
    public let weights: SafetensorsFolder
    /// The weights in `towerFolder`, where `towerSource` is `.folder` and the tower is not this folder.
    public let towerWeights: SafetensorsFolder?
    /// The tower folder's config.json, where there is one.
    public let towerConfigBytes: [UInt8]?
    /// What is odd but harmless, one sentence each.
    public let notes: [String]

    static let smallFileLimit = 8 << 20

    /// Opens `path`; `weightsFrom` names another folder whose weights to use, `environment` (nil: the
    /// process's own) says where the hub cache is.
    public init(
        path: String, weightsFrom: String? = nil, environment: [String: String]? = nil
    ) throws {
        let environment = environment ?? ProcessInfo.processInfo.environment
        guard FolderPath.isFolder(path) else { throw FolderDiagnosis.notAFolder(path, environment: environment) }
        if let fault = FolderDiagnosis.fault(of: path, weights: weightsFrom) { throw fault }
        let file = path + "/config.json"
        guard let bytes = try FolderPath.read("config.json", in: path, limit: Self.smallFileLimit) else {
            throw CheckpointError.configMissing(file)
        }
        let config = try ConfigReader(file: file, bytes: bytes)
        guard let type = try config.string("model_type") else { throw CheckpointError.keyMissing(file, "model_type") }
        let kind = try Self.kind(of: type, file: file)
        let weights = try SafetensorsFolder(path: weightsFrom ?? path)
        var notes = weights.notes
        // Written by `RandomCheckpoint`.
        if let note = try config.string("_longtake") { notes.append(note) }

        self.path = path
        self.kind = kind
        modelType = type
        configBytes = bytes
        self.weights = weights
        tokenizer = try TokenizerFiles(folder: path)

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
            tower = try Tower(of: config, fusion: fusion, folder: path, weights: weights, environment: environment)
            self.fusion = fusion
            textTower = nil
        case .clip, .clipVision:
            language = nil
            fusion = nil
            evidence = nil
            (tower.vision, textTower) = try Self.towers(config, kind: kind)
            tower.folder = path
            tower.source = .folder
        }
        vision = tower.vision
        towerFolder = tower.folder
        towerSource = tower.source
        towerWeights = tower.weights
        towerConfigBytes = tower.configBytes
        notes += tower.notes
        self.notes = notes

        let generation = try Self.optional("generation_config.json", in: path)
        generationConfigBytes = generation?.bytes
        let ids = 0...16_777_215
        stopTokenIDs =
            language == nil
            ? []
            : try generation?.config.integers("eos_token_id", in: ids) ?? config.integers("eos_token_id", in: ids) ?? []
        beginTokenID = language == nil ? nil : try config.integers("bos_token_id", in: ids)?.first
        temperature =
            try generation?.config.value("temperature") == nil
            ? nil : generation?.config.double("temperature", in: 0...100)
        topP = try generation?.config.value("top_p") == nil ? nil : generation?.config.double("top_p", in: 0...1)
        fusionError =
            try generation?.config.value("longtake_fusion_error") == nil
            ? nil : generation?.config.double("longtake_fusion_error", in: 0...1)
        imageAspectRatio = try config.string("image_aspect_ratio") ?? "square"
        tokenizerModelMaxLength = try Self.maxLength(config)
        preprocessorConfigBytes = try Self.preprocessor(tower: tower.folder, checkpoint: path)
    }

    private static func kind(of type: String, file: String) throws -> CheckpointKind {
        switch type {
        case "llava_mini_llama": .llavaMini
        case "llama": .llama
        case "clip": .clip
        case "clip_vision_model": .clipVision
        default: throw FolderDiagnosis.otherModel(file, type)
        }
    }

    /// The vision tower's shape, and the text tower's where there is one.
    static func towers(
        _ config: ConfigReader, kind: CheckpointKind
    ) throws -> (vision: VisionConfig, text: TextTowerConfig?) {
        guard kind == .clip else { return (try VisionConfig(config, projectionSize: nil), nil) }
        let projection = try config.integer("projection_dim", in: 1...65_536, default: 512)
        // Old OpenAI configs have the same values a second time under "…_dict", and transformers lets those win.
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

    private static func optional(_ name: String, in folder: String) throws -> (bytes: [UInt8], config: ConfigReader)? {
        guard let bytes = try FolderPath.read(name, in: folder, limit: smallFileLimit) else { return nil }
        return (bytes, try ConfigReader(file: folder + "/" + name, bytes: bytes))
    }

    private static func maxLength(_ config: ConfigReader) throws -> Int? {
        // Tokenizers without a limit say 1e30, which the reference then never reaches.
        guard let value = config.value("tokenizer_model_max_length") else { return nil }
        if case .number(let number) = value, number >= 1e9 { return nil }
        return try config.integer("tokenizer_model_max_length", in: 1...Int.max)
    }

    private static func preprocessor(tower: String?, checkpoint: String) throws -> [UInt8]? {
        let name = "preprocessor_config.json"
        if let tower, let bytes = try FolderPath.read(name, in: tower, limit: smallFileLimit) { return bytes }
        return try FolderPath.read(name, in: checkpoint, limit: smallFileLimit)
    }
}

/// The real paths of a folder's tokenizer files; nil where it has none of that name.
public struct TokenizerFiles: Sendable, Equatable {
    public let tokenizerJSON: String?  // tokenizer.json
    public let sentencePiece: String?  // tokenizer.model
    public let tokenizerConfig: String?  // tokenizer_config.json
    public let specialTokensMap: String?  // special_tokens_map.json
    public let vocabulary: String?  // vocab.json
    public let merges: String?  // merges.txt

    /// Looks the names up in `folder`; throws `path_refused` for a link that leads out of it.
    public init(folder: String) throws {
        tokenizerJSON = try FolderPath.resolve("tokenizer.json", in: folder)
        sentencePiece = try FolderPath.resolve("tokenizer.model", in: folder)
        tokenizerConfig = try FolderPath.resolve("tokenizer_config.json", in: folder)
        specialTokensMap = try FolderPath.resolve("special_tokens_map.json", in: folder)
        vocabulary = try FolderPath.resolve("vocab.json", in: folder)
        merges = try FolderPath.resolve("merges.txt", in: folder)
    }
}
