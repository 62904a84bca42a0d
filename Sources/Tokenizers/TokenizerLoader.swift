public import Foundation

/// Loads the tokenizer of a model folder.
public enum TokenizerLoader {
    /// Loads the tokenizer of the kind that the folder's files contain.
    ///
    /// 1. tokenizer.json with a byte-level pre-tokenizer: Llama 3; with the word suffix `</w>`: CLIP.
    /// 2. Otherwise tokenizer.model: Llama 2 and Vicuna. The reference prefers it to tokenizer.json (its loader
    ///    requests the slow tokenizer). Llama 3's file of that name has a different format, so rule 1 comes first.
    /// 3. tokenizer.json with byte fallback alone: Llama 2 and Vicuna.
    /// 4. vocab.json and merges.txt: CLIP.
    ///
    /// Throws `TokenizerError` naming the file and the fault.
    public static func load(folder: URL) throws -> any Tokenizer {
        let path = folder.path
        let settings = try TokenizerSettings(folder: path)
        let jsonPath = path + "/tokenizer.json"
        let modelPath = path + "/tokenizer.model"
        let json = try TokenizerFile.read(jsonPath).map { try TokenizerJSON($0, path: jsonPath) }

        if let json, !json.wordEnd.isEmpty { return try CLIPTokenizer(json, settings: settings) }
        if let json, !json.byteFallback, json.hasPreTokenizer("ByteLevel") {
            return try ByteLevelTokenizer(json, settings: settings)
        }
        if let bytes = try TokenizerFile.read(modelPath, limit: 16 << 20) {
            let model = try SentencePieceModel(bytes, path: modelPath)
            let added = settings.added.isEmpty ? json?.added ?? [] : settings.added
            return try SentencePieceTokenizer(model, path: modelPath, added: added, settings: settings)
        }
        if let json {
            guard json.byteFallback else { throw TokenizerError.unsupported(jsonPath, "this kind of BPE") }
            return try SentencePieceTokenizer(json, settings: settings)
        }
        if let vocabulary = try TokenizerFile.read(path + "/vocab.json"),
            let merges = try TokenizerFile.read(path + "/merges.txt")
        {
            return try CLIPTokenizer(vocabulary: vocabulary, merges: merges, folder: path, settings: settings)
        }
        throw TokenizerError.notFound(path)
    }

    /// Loads a CLIP model's tokenizer; throws if the folder holds another kind.
    public static func loadCLIP(folder: URL) throws -> CLIPTokenizer {
        let tokenizer = try load(folder: folder)
        guard let clip = tokenizer as? CLIPTokenizer else {
            throw TokenizerError.unsupported(
                folder.path, "a \(tokenizer.family.rawValue) tokenizer where CLIP's is needed")
        }
        return clip
    }
}
