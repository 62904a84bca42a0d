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
                if let text = source?[key]?.string ?? source?[key]?["content"]?.string { return text }
            }
            return nil
        }
        begin = special("bos_token")
        end = special("eos_token")
        unknown = special("unk_token")
        padding = special("pad_token")
        addBegin = config?["add_bos_token"]?.bool
        legacy = config?["legacy"]?.bool
        cleanUpSpaces = config?["clean_up_tokenization_spaces"]?.bool
        maximumLength = config?["model_max_length"]?.index
        chatTemplate = config?["chat_template"]?.string
        conversation = try config?["conv_mode"]?.string ?? Self.read(folder + "/config.json")?["conv_mode"]?.string
        for (key, value) in config?["added_tokens_decoder"]?.object ?? [:] {
            guard let id = Int(key), id >= 0, let content = value["content"]?.string, !content.isEmpty else {
                throw TokenizerError.malformed(
                    configPath, "added_tokens_decoder has an entry without an id of at least 0 and a content")
            }
            added.append(.init(id: id, content: content, special: value["special"]?.bool ?? false))
        }
    }

    private static func read(_ path: String) throws -> TokenizerValue? {
        guard let bytes = try TokenizerFile.read(path, limit: 4 << 20) else { return nil }
        var reader = try JSONReader(bytes, file: path)
        let value = try reader.value()
        try reader.expectEnd()
        guard value.object != nil else { throw TokenizerError.malformed(path, "the text is not an object") }
        return value
    }
}
