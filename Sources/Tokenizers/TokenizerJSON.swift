internal import Checkpoints

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
    let normalizer: JSONValue
    let preTokenizer: JSONValue
    let postProcessor: JSONValue
    private let reader: JSONReader
    private let vocabularyOffset: Int
    private let mergesOffset: Int

    init(_ bytes: [UInt8], path: String) throws {
        let (reader, parts, model, offsets) = try TokenizerError.naming(path) { try Self.scan(bytes, path: path) }
        if let type = model["type"], type != .string("BPE") {
            throw TokenizerError.unsupported(path, "model type \(TokenizerError.quoted(type.stringValue ?? "?"))")
        }
        guard let vocabularyOffset = offsets["vocab"] else {
            throw TokenizerError.malformed(path, "model.vocab is missing")
        }
        guard let mergesOffset = offsets["merges"] else {
            throw TokenizerError.unsupported(path, "a model without merges (not BPE)")
        }
        if let prefix = model["continuing_subword_prefix"]?.stringValue, !prefix.isEmpty {
            throw TokenizerError.unsupported(path, "model.continuing_subword_prefix")
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
        wordEnd = model["end_of_word_suffix"]?.stringValue ?? ""
        added = try Self.added(parts["added_tokens"] ?? .null, path: path)
        normalizer = parts["normalizer"] ?? .null
        preTokenizer = parts["pre_tokenizer"] ?? .null
        postProcessor = parts["post_processor"] ?? .null
        self.reader = reader
        self.vocabularyOffset = vocabularyOffset
        self.mergesOffset = mergesOffset
    }

    /// Reads the small parts as trees and notes the offsets of the vocabulary and the merges.
    private static func scan(
        _ bytes: [UInt8], path: String
    ) throws -> (reader: JSONReader, parts: [String: JSONValue], model: [String: JSONValue], offsets: [String: Int]) {
        var reader = try JSONReader(tokenizerFile: bytes)
        var parts: [String: JSONValue] = [:]
        var model: [String: JSONValue] = [:]
        var offsets: [String: Int] = [:]
        func repeated(_ name: String) -> TokenizerError {
            .malformed(path, "\(name) appears twice", at: reader.offset)
        }
        var key: [UInt8] = []
        try reader.beginObject()
        while try reader.nextKey(into: &key) {
            switch String(decoding: key, as: UTF8.self) {
            case "model":
                try reader.beginObject()
                while try reader.nextKey(into: &key) {
                    let name = String(decoding: key, as: UTF8.self)
                    if name == "vocab" || name == "merges" {
                        _ = reader.peek()
                        guard offsets.updateValue(reader.offset, forKey: name) == nil else {
                            throw repeated("model.\(name)")
                        }
                        try reader.skip()
                    } else {
                        model[name] = try reader.value()
                    }
                }
            case let name where ["added_tokens", "normalizer", "pre_tokenizer", "post_processor"].contains(name):
                guard parts[name] == nil else { throw repeated(name) }
                parts[name] = try reader.value()
            default: try reader.skip()
            }
        }
        try reader.expectEnd()
        return (reader, parts, model, offsets)
    }

    /// `added_tokens`: an array of {id, content, special, …}; the content is always literal text.
    private static func added(_ value: JSONValue, path: String) throws -> [AddedToken] {
        if value == .null { return [] }
        guard let elements = value.arrayValue else {
            throw TokenizerError.malformed(path, "added_tokens is not an array")
        }
        return try elements.map { element in
            guard let id = element["id"]?.indexValue, let content = element["content"]?.stringValue, !content.isEmpty
            else {
                throw TokenizerError.malformed(path, "an added token without an id of at least 0 and a content")
            }
            // These flags would change how text around the token is split; no supported model sets them.
            for flag in ["single_word", "lstrip", "rstrip"] where element[flag]?.boolValue == true {
                throw TokenizerError.unsupported(path, "the added token \(TokenizerError.quoted(content)) with \(flag)")
            }
            return AddedToken(id: id, content: content, special: element["special"]?.boolValue ?? false)
        }
    }

    /// Calls `body` with each vocabulary entry, in file order.
    func forEachToken(_ body: (_ token: [UInt8], _ id: Int) throws -> Void) throws {
        try TokenizerError.naming(path) {
            var reader = reader.moved(to: vocabularyOffset)
            try Self.readVocabulary(&reader, body)
        }
    }

    /// Reads a vocabulary, an object of IDs by token, and calls `body` with each entry.
    static func readVocabulary(
        _ reader: inout JSONReader, _ body: (_ token: [UInt8], _ id: Int) throws -> Void
    ) throws {
        var token: [UInt8] = []
        try reader.beginObject()
        while try reader.nextKey(into: &token) {
            try body(token, try reader.integer(upTo: TokenTable.maximumCount - 1))
        }
    }

    /// Calls `body` with each merge, `"a b"` or `["a", "b"]`, in order of rank.
    func forEachMerge(
        _ body: (_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>, _ rank: Int) throws -> Void
    ) throws {
        try TokenizerError.naming(path) {
            var reader = reader.moved(to: mergesOffset)
            var rank = 0
            var text: [UInt8] = []
            try reader.beginArray()
            while try reader.nextElement() {
                guard rank < MergeTable.maximumCount else {
                    throw fault("more than \(MergeTable.maximumCount) merges", reader)
                }
                text.removeAll(keepingCapacity: true)
                if reader.peek() == UInt8(ascii: "[") {
                    let middle = try readPair(&reader, into: &text)
                    try body(text[..<middle], text[middle...], rank)
                } else {
                    try reader.string(into: &text)
                    guard let space = text.firstIndex(of: 0x20), !text[(space + 1)...].contains(0x20) else {
                        throw fault("a merge that is not two parts separated by a space", reader)
                    }
                    try body(text[..<space], text[(space + 1)...], rank)
                }
                rank += 1
            }
        }
    }

    /// Appends both strings of a merge to `text`; returns the length of the first.
    private func readPair(_ reader: inout JSONReader, into text: inout [UInt8]) throws -> Int {
        var middle = 0
        var count = 0
        try reader.beginArray()
        while try reader.nextElement() {
            if count == 1 { middle = text.count }
            count += 1
            guard count <= 2 else { throw fault("a merge of more than two parts", reader) }
            try reader.string(into: &text)
        }
        guard count == 2 else { throw fault("a merge of fewer than two parts", reader) }
        return middle
    }

    private func fault(_ what: String, _ reader: JSONReader) -> TokenizerError {
        .malformed(path, what, at: reader.offset)
    }

    /// The text of the token that the post processor puts first; nil if it adds none.
    var beginToken: String? {
        let processors = postProcessor["processors"]?.arrayValue ?? [postProcessor]
        let template = processors.first { $0["type"]?.stringValue == "TemplateProcessing" }
        return template?["single"]?.arrayValue?.first?["SpecialToken"]?["id"]?.stringValue
    }

    /// The regular expressions of the pre-tokenizer's Split steps.
    var splitPatterns: [String] {
        let steps = preTokenizer["pretokenizers"]?.arrayValue ?? [preTokenizer]
        return steps.compactMap { $0["type"]?.stringValue == "Split" ? $0["pattern"]?["Regex"]?.stringValue : nil }
    }

    /// True if a step of the pre-tokenizer has this type.
    func hasPreTokenizer(_ type: String) -> Bool {
        (preTokenizer["pretokenizers"]?.arrayValue ?? [preTokenizer]).contains { $0["type"]?.stringValue == type }
    }
}
