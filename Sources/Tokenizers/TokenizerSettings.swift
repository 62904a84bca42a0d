internal import Checkpoints

/// The settings in a folder's tokenizer_config.json and special_tokens_map.json; every member may be absent.
struct TokenizerSettings: Sendable {
    var begin: String?
    var end: String?
    var unknown: String?
    var padding: String?
    var addBegin: Bool?
    var legacy: Bool?
    var cleanUpSpaces: Bool?
    var maximumLength: Int?
    var conversation: String?  // conv_mode: this project's key for naming a template in a model folder
    var chatTemplate: String?
    var added: [TokenizerJSON.AddedToken] = []  // added_tokens_decoder

    init(folder: String) throws {
        let configPath = folder + "/tokenizer_config.json"
        let config = try Self.read(configPath)
        let map = try Self.read(folder + "/special_tokens_map.json")
        func special(_ key: String) -> String? {
            for source in [config, map] {
                if let text = source?[key]?.stringValue ?? source?[key]?["content"]?.stringValue { return text }
            }
            return nil
        }
        begin = special("bos_token")
        end = special("eos_token")
        unknown = special("unk_token")
        padding = special("pad_token")
        addBegin = config?["add_bos_token"]?.boolValue
        legacy = config?["legacy"]?.boolValue
        cleanUpSpaces = config?["clean_up_tokenization_spaces"]?.boolValue
        maximumLength = config?["model_max_length"]?.indexValue
        chatTemplate = config?["chat_template"]?.stringValue
        conversation =
            try config?["conv_mode"]?.stringValue ?? Self.read(folder + "/config.json")?["conv_mode"]?.stringValue
        for (key, value) in config?["added_tokens_decoder"]?.objectValue ?? [:] {
            guard let id = Int(key), id >= 0, let content = value["content"]?.stringValue, !content.isEmpty else {
                throw TokenizerError.malformed(
                    configPath, "added_tokens_decoder has an entry without an id of at least 0 and a content")
            }
            added.append(.init(id: id, content: content, special: value["special"]?.boolValue ?? false))
        }
    }

    private static func read(_ path: String) throws -> JSONValue? {
        guard let bytes = try TokenizerFile.read(path, limit: 4 << 20) else { return nil }
        let value = try TokenizerError.naming(path) {
            var reader = try JSONReader(tokenizerFile: bytes)
            let value = try reader.value()
            try reader.expectEnd()
            return value
        }
        guard value.objectValue != nil else { throw TokenizerError.malformed(path, "the text is not an object") }
        return value
    }
}
