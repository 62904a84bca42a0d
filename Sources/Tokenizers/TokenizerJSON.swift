/// The validated contents of a tokenizer.json, from which the three kinds of tokenizer are built.
///
/// For the vocabulary and the merges only the offsets are kept; they are read directly into their tables.
struct TokenizerJSON {
    struct AddedToken {
        var id: Int
        var content: String
        var special: Bool
    }

    let path: String
    let byteFallback: Bool
    let ignoreMerges: Bool
    let wordEnd: String  // end_of_word_suffix
    let added: [AddedToken]
    let normalizer: TokenizerValue
    let preTokenizer: TokenizerValue
    let postProcessor: TokenizerValue
    private let reader: JSONReader
    private let vocabularyAt: Int
    private let mergesAt: Int

    init(_ bytes: [UInt8], path: String) throws {
        var reader = try JSONReader(bytes, file: path)
        var parts: [String: TokenizerValue] = [:]
        var model: [String: TokenizerValue] = [:]
        var places: [String: Int] = [:]
        try reader.object { reader, key in
            let name = String(decoding: key, as: UTF8.self)
            switch name {
            case "model":
                try reader.object { reader, key in
                    let name = String(decoding: key, as: UTF8.self)
                    if name == "vocab" || name == "merges" {
                        _ = try reader.peek()
                        guard places.updateValue(reader.offset, forKey: name) == nil else {
                            throw reader.fault("model.\(name) appears twice")
                        }
                        try reader.skip()
                    } else {
                        model[name] = try reader.value()
                    }
                }
            case "added_tokens", "normalizer", "pre_tokenizer", "post_processor":
                guard parts[name] == nil else { throw reader.fault("\(name) appears twice") }
                parts[name] = try reader.value()
            default: try reader.skip()
            }
        }
        try reader.expectEnd()

        if let type = model["type"], type != .string("BPE") {
            throw TokenizerError.unsupported(path, "model type \(TokenizerError.quoted(type.string ?? "?"))")
        }
        guard let vocabularyAt = places["vocab"] else { throw TokenizerError.malformed(path, "model.vocab is missing") }
        guard let mergesAt = places["merges"] else {
            throw TokenizerError.unsupported(path, "a model without merges (not BPE)")
        }
        for key in ["continuing_subword_prefix"] {
            if let prefix = model[key]?.string, !prefix.isEmpty {
                throw TokenizerError.unsupported(path, "model.\(key)")
            }
        }
        func flag(_ key: String) throws -> Bool {
            switch model[key] {
            case nil, .null?: return false
            case .bool(let value)?: return value
            default: throw TokenizerError.malformed(path, "model.\(key) is not a boolean")
            }
        }
        self.path = path
        byteFallback = try flag("byte_fallback")
        ignoreMerges = try flag("ignore_merges")
        wordEnd = model["end_of_word_suffix"]?.string ?? ""
        added = try Self.added(parts["added_tokens"] ?? .null, path: path)
        normalizer = parts["normalizer"] ?? .null
        preTokenizer = parts["pre_tokenizer"] ?? .null
        postProcessor = parts["post_processor"] ?? .null
        self.reader = reader
        self.vocabularyAt = vocabularyAt
        self.mergesAt = mergesAt
    }

    /// `added_tokens`: an array of {id, content, special, …}; the content is always literal text.
    private static func added(_ value: TokenizerValue, path: String) throws -> [AddedToken] {
        if value == .null { return [] }
        guard let elements = value.array else { throw TokenizerError.malformed(path, "added_tokens is not an array") }
        return try elements.map { element in
            guard let id = element["id"]?.index, let content = element["content"]?.string, !content.isEmpty else {
                throw TokenizerError.malformed(path, "an added token without an id of at least 0 and a content")
            }
            // These flags would change how text around the token is split; no supported model sets them.
            for flag in ["single_word", "lstrip", "rstrip"] where element[flag]?.bool == true {
                throw TokenizerError.unsupported(path, "the added token \(TokenizerError.quoted(content)) with \(flag)")
            }
            return AddedToken(id: id, content: content, special: element["special"]?.bool ?? false)
        }
    }

    /// Calls `body` with each vocabulary entry, in file order.
    func forEachToken(_ body: (_ token: [UInt8], _ id: Int) throws -> Void) throws {
        var reader = reader.moved(to: vocabularyAt)
        try reader.object { reader, key in
            let id = try reader.index(limit: TokenTable.maximumCount - 1)
            try body(key, id)
        }
    }

    /// Calls `body` with each merge, `"a b"` or `["a", "b"]`, in order of rank.
    func forEachMerge(_ body: (_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>, _ rank: Int) throws -> Void)
        throws
    {
        var reader = reader.moved(to: mergesAt)
        var rank = 0
        var text: [UInt8] = []
        try reader.array { reader in
            guard rank < MergeTable.maximumCount else {
                throw reader.fault("more than \(MergeTable.maximumCount) merges")
            }
            text.removeAll(keepingCapacity: true)
            if try reader.peek() == UInt8(ascii: "[") {
                var middle = 0
                var parts = 0
                try reader.array { reader in
                    if parts == 1 { middle = text.count }
                    parts += 1
                    guard parts <= 2 else { throw reader.fault("a merge of more than two parts") }
                    try reader.string(into: &text)
                }
                guard parts == 2 else { throw reader.fault("a merge of less than two parts") }
                try body(text[..<middle], text[middle...], rank)
            } else {
                try reader.string(into: &text)
                guard let space = text.firstIndex(of: 0x20), !text[(space + 1)...].contains(0x20) else {
                    throw reader.fault("a merge that is not two parts with a space between")
                }
                try body(text[..<space], text[(space + 1)...], rank)
            }
            rank += 1
        }
    }

    /// The text of the token that the post processor puts first; nil if it adds none.
    var beginToken: String? {
        let processors = postProcessor["processors"]?.array ?? [postProcessor]
        let template = processors.first { $0["type"]?.string == "TemplateProcessing" }
        return template?["single"]?.array?.first?["SpecialToken"]?["id"]?.string
    }

    /// The regular expressions of the pre-tokenizer's Split steps.
    var splitPatterns: [String] {
        let steps = preTokenizer["pretokenizers"]?.array ?? [preTokenizer]
        return steps.compactMap { $0["type"]?.string == "Split" ? $0["pattern"]?["Regex"]?.string : nil }
    }

    /// True if a step of the pre-tokenizer has this type.
    func hasPreTokenizer(_ type: String) -> Bool {
        (preTokenizer["pretokenizers"]?.array ?? [preTokenizer]).contains { $0["type"]?.string == type }
    }
}
