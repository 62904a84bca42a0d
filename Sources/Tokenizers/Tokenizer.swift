/// Converts text to token IDs and back.
///
/// Special tokens (`<|eot_id|>`, `</s>`, …) come only from code, because text is encoded literally unless
/// `parseSpecial` is set: user text cannot end its turn or start another.
public protocol Tokenizer: Sendable {
    /// The kind of this tokenizer.
    var family: TokenizerFamily { get }
    /// IDs are in 0..<vocabularySize.
    var vocabularySize: Int { get }
    /// The token that begins a sequence.
    var beginID: Int32? { get }
    /// The token that ends a turn or a sequence, as named by the tokenizer's configuration.
    var endID: Int32? { get }
    /// True if the reference puts `beginID` before everything it encodes.
    var addsBegin: Bool { get }
    /// `clean_up_tokenization_spaces`: if true, decoding removes the space before punctuation.
    var cleansUpSpaces: Bool { get }

    /// The ID of a special token by its text; nil if there is none.
    func id(ofSpecial token: String) -> Int32?
    /// True if an ID is a special token, sentencepiece's unknown token included.
    func isSpecial(_ id: Int32) -> Bool
    /// The bytes of a token without regard to its neighbors; empty for an unknown ID.
    func tokenBytes(_ id: Int32) -> [UInt8]

    /// Encodes pieces as one text: adjacent `.text` pieces are joined first, `.special` IDs are copied. Adds no begin
    /// token.
    func encode(_ pieces: [PromptPiece]) -> [Int32]
    /// Splits text at special tokens, leftmost and longest first.
    func splitSpecial(_ text: String) -> [PromptPiece]
    /// Makes a decoder that converts IDs to text one by one.
    func makeAssembler(skipSpecial: Bool) -> TokenAssembler
}

/// The kinds of tokenizer.
public enum TokenizerFamily: String, Sendable {
    /// Llama 3.
    case llama3 = "byte_level_bpe"
    /// Llama 2 and Vicuna.
    case sentencePiece = "sentencepiece_bpe"
    /// CLIP's text tower.
    case clip = "clip_bpe"
}

/// A piece of a prompt: plain text, or one token chosen by code.
public enum PromptPiece: Equatable, Sendable {
    /// Text; special tokens in it are not recognized.
    case text(String)
    /// The ID of a token.
    case special(Int32)
}

extension Tokenizer {
    /// Encodes text; special tokens in it are recognized only with `parseSpecial`. Adds no begin token.
    public func encode(_ text: String, parseSpecial: Bool = false) -> [Int32] {
        encode(parseSpecial ? splitSpecial(text) : [.text(text)])
    }

    /// Decodes IDs; skips IDs outside the vocabulary, and replaces bytes that are not UTF-8 with U+FFFD.
    ///
    /// `cleanUp` removes the spaces before punctuation; nil uses the tokenizer's setting.
    public func decode(_ ids: [Int32], skipSpecial: Bool = true, cleanUp: Bool? = nil) -> String {
        var assembler = makeAssembler(skipSpecial: skipSpecial)
        var bytes: [UInt8] = []
        for id in ids { assembler.append(id, to: &bytes) }
        assembler.finish(into: &bytes)
        if cleanUp ?? cleansUpSpaces { bytes = SpaceCleanup.clean(bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Special tokens by text, for `splitSpecial` and `id(ofSpecial:)`.
struct SpecialTokens: Sendable {
    private let ids: [String: Int32]
    private let longestFirst: [(text: [UInt8], id: Int32)]
    private let set: Set<Int32>

    /// `hidden`: IDs that decoding skips; `named`: every token that text may name.
    init(named: [String: Int32], hidden: Set<Int32>) {
        ids = named
        longestFirst = named.filter { !$0.key.isEmpty }
            .map { (Array($0.key.utf8), $0.value) }
            .sorted { $0.0.count > $1.0.count }
        set = hidden
    }

    func id(of text: String) -> Int32? { ids[text] }
    func contains(_ id: Int32) -> Bool { set.contains(id) }

    func split(_ text: String) -> [PromptPiece] {
        let bytes = Array(text.utf8)
        var pieces: [PromptPiece] = []
        var start = 0
        var index = 0
        while index < bytes.count {
            let hit = longestFirst.first { $0.text[0] == bytes[index] && bytes[index...].starts(with: $0.text) }
            guard let hit else {
                index += 1
                continue
            }
            if index > start { pieces.append(.text(String(decoding: bytes[start..<index], as: UTF8.self))) }
            pieces.append(.special(hit.id))
            index += hit.text.count
            start = index
        }
        if start < bytes.count { pieces.append(.text(String(decoding: bytes[start...], as: UTF8.self))) }
        return pieces
    }
}

extension [PromptPiece] {
    /// The pieces with adjacent texts joined and empty texts removed.
    var joined: [PromptPiece] {
        var result: [PromptPiece] = []
        for piece in self {
            if case .text(let more) = piece {
                if more.isEmpty { continue }
                if case .text(let text)? = result.last {
                    result[result.count - 1] = .text(text + more)
                    continue
                }
            }
            result.append(piece)
        }
        return result
    }
}
