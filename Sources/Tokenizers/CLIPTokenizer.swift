internal import Checkpoints
import Foundation

/// CLIP's tokenizer: lowercased text, byte pair merges, a suffix at the end of each word. Not lossless.
///
/// Equal to transformers' CLIPTokenizerFast. Source: tokenizer.json, or vocab.json and merges.txt, of openai/clip-*.
public struct CLIPTokenizer: Tokenizer {
    /// The ID of `bos_token`, or `<|startoftext|>`.
    public let beginID: Int32?
    /// The ID of `eos_token`, or `<|endoftext|>`.
    public let endID: Int32?
    /// The ID that the reference pads short texts with.
    public let paddingID: Int32
    /// `model_max_length`; 77 if it is absent or outside 2...4096.
    public let maximumLength: Int
    /// `clean_up_tokenization_spaces`; true if absent.
    public let cleansUpSpaces: Bool

    private let table: TokenTable  // keys as in the file: GPT-2's alphabet, with the suffix
    private let merges: MergeTable
    private let special: SpecialTokens
    private let innerIDs: [Int32]  // 256: the ID of each byte inside a word
    private let lastIDs: [Int32]  // 256: the ID of each byte at the end of a word, with the suffix

    static let wordEnd = Array("</w>".utf8)

    /// Always `clip`.
    public var family: TokenizerFamily { .clip }
    /// The number of tokens, added ones included.
    public var vocabularySize: Int { table.count }
    /// True: the reference puts the begin token before every text.
    public var addsBegin: Bool { true }

    /// Reads a tokenizer.json.
    init(_ json: TokenizerJSON, settings: TokenizerSettings) throws {
        guard json.splitPatterns == [PretokenSplitter.clipPattern], json.wordEnd == "</w>" else {
            throw TokenizerError.unsupported(
                json.path, "a word-suffix tokenizer whose splitting expression is not CLIP's")
        }
        try self.init(
            path: json.path, added: json.added, settings: settings, tokens: json.forEachToken, merges: json.forEachMerge
        )
    }

    /// Reads vocab.json and merges.txt.
    init(vocabulary: [UInt8], merges: [UInt8], folder: String, settings: TokenizerSettings) throws {
        let path = folder + "/vocab.json"
        try self.init(
            path: path, added: [], settings: settings,
            tokens: { body in
                try TokenizerError.naming(path) {
                    var reader = try JSONReader(tokenizerFile: vocabulary)
                    try TokenizerJSON.readVocabulary(&reader, body)
                    try reader.expectEnd()
                }
            },
            merges: { body in try Self.forEachLine(of: merges, path: folder + "/merges.txt", body) })
    }

    private init(
        path: String, added: [TokenizerJSON.AddedToken], settings: TokenizerSettings,
        tokens: ((_ token: [UInt8], _ id: Int) throws -> Void) throws -> Void,
        merges readMerges: ((ArraySlice<UInt8>, ArraySlice<UInt8>, Int) throws -> Void) throws -> Void
    ) throws {
        var table = TokenTable()
        try tokens { token, id in
            if let fault = table.set(id, token) { throw TokenizerError.malformed(path, fault) }
        }
        let beginText = settings.begin ?? "<|startoftext|>"
        let endText = settings.end ?? "<|endoftext|>"
        var named: [String: Int32] = [:]
        for token in added {
            if !table.has(token.id), let fault = table.set(token.id, Array(token.content.utf8)) {
                throw TokenizerError.malformed(path, fault)
            }
            guard table.bytes(token.id).elementsEqual(token.content.utf8) else {
                throw TokenizerError.malformed(
                    path, "id \(token.id) is \(TokenizerError.quoted(token.content)) and another token")
            }
            named[token.content] = Int32(token.id)
        }
        if let fault = table.finish(isIndexed: { _ in true }) { throw TokenizerError.malformed(path, fault) }
        func required(_ token: [UInt8]) throws -> Int32 {
            guard let id = table.id(of: token) else {
                let name = TokenizerError.quoted(String(decoding: token, as: UTF8.self))
                throw TokenizerError.malformed(path, "the vocabulary has no token \(name)")
            }
            return id
        }
        for token in [beginText, endText] { named[token] = try required(Array(token.utf8)) }
        let letters = ByteAlphabet.scalars.map { scalar -> [UInt8] in
            var bytes: [UInt8] = []
            appendUTF8(scalar, to: &bytes)
            return bytes
        }
        innerIDs = try letters.map { try required($0) }
        lastIDs = try letters.map { try required($0 + Self.wordEnd) }

        var merges = MergeTable(expecting: table.count)
        let reserved = Set(named.values)
        try readMerges { left, right, rank in
            guard let leftID = table.id(of: left) else { throw ByteLevelTokenizer.unknownMerge(left, rank, path) }
            guard let rightID = table.id(of: right) else { throw ByteLevelTokenizer.unknownMerge(right, rank, path) }
            let merged = left + right
            guard let id = table.id(of: merged) else { throw ByteLevelTokenizer.unknownMerge(merged, rank, path) }
            // Text must never become a special token, whatever merges a file has.
            if !reserved.contains(id) { merges.insert(leftID, rightID, rank: UInt32(rank), id: id) }
        }
        beginID = named[beginText]
        endID = named[endText]
        paddingID = try settings.padding.map { try required(Array($0.utf8)) } ?? required(Array(endText.utf8))
        maximumLength = settings.maximumLength.map { (2...4096).contains($0) ? $0 : 77 } ?? 77
        cleansUpSpaces = settings.cleanUpSpaces ?? true
        special = SpecialTokens(named: named, hidden: reserved)
        self.table = table
        self.merges = merges
    }

    /// merges.txt: a "#version" line, then one merge per line.
    private static func forEachLine(
        of text: [UInt8], path: String, _ body: (ArraySlice<UInt8>, ArraySlice<UInt8>, Int) throws -> Void
    ) throws {
        var rank = 0
        for (number, whole) in text.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let line = whole.last == 0x0D ? whole.dropLast() : whole
            if line.isEmpty || (number == 0 && line.starts(with: "#version".utf8)) { continue }
            guard rank < MergeTable.maximumCount else {
                throw TokenizerError.malformed(path, "more than \(MergeTable.maximumCount) merges")
            }
            guard let space = line.firstIndex(of: 0x20), !line[(space + 1)...].contains(0x20) else {
                throw TokenizerError.malformed(path, "line \(number + 1) is not two parts separated by a space")
            }
            try body(line[..<space], line[(space + 1)...], rank)
            rank += 1
        }
    }

    /// The ID of a special token by its text; nil if there is none.
    public func id(ofSpecial token: String) -> Int32? { special.id(of: token) }
    /// True for the begin and end tokens and added tokens.
    public func isSpecial(_ id: Int32) -> Bool { special.contains(id) }
    /// Splits text at special tokens, leftmost and longest first.
    public func splitSpecial(_ text: String) -> [PromptPiece] { special.split(text) }
    /// Makes a decoder that converts IDs to text one by one.
    public func makeAssembler(skipSpecial: Bool) -> TokenAssembler { TokenAssembler(self, skipSpecial: skipSpecial) }

    /// The bytes of a token; the end of a word becomes a space.
    public func tokenBytes(_ id: Int32) -> [UInt8] {
        var token = table.bytes(Int(id))
        if isSpecial(id) { return Array(token) }
        var bytes: [UInt8] = []
        let endsWord = token.count >= Self.wordEnd.count && token.suffix(Self.wordEnd.count).elementsEqual(Self.wordEnd)
        if endsWord { token = token.dropLast(Self.wordEnd.count) }
        if !ByteAlphabet.decode(token, into: &bytes) { bytes = Array(token) }
        if endsWord { bytes.append(0x20) }
        return bytes
    }

    /// Encodes pieces as one lowercased text, without begin and end tokens.
    public func encode(_ pieces: [PromptPiece]) -> [Int32] {
        var ids: [Int32] = []
        for piece in pieces.joined {
            switch piece {
            case .special(let id): ids.append(id)
            case .text(let text): encode(Self.normalized(text), into: &ids)
            }
        }
        return ids
    }

    /// Encodes a text for the text tower: begin token, text, end token, then padding up to `length` positions.
    ///
    /// `ids` has exactly `length` entries, of which the first `count` are not padding. A longer text is truncated
    /// before the end token. `length`: nil uses `maximumLength`; less than 2 counts as 2. The reference always parses
    /// special tokens.
    public func encodeForTower(
        _ text: String, length: Int? = nil, parseSpecial: Bool = false
    ) -> (ids: [Int32], count: Int) {
        let length = max(2, length ?? maximumLength)
        var ids = [beginID ?? 0]
        ids += encode(text, parseSpecial: parseSpecial).prefix(length - 2)
        ids.append(endID ?? 0)
        let count = ids.count
        ids += [Int32](repeating: paddingID, count: length - count)
        return (ids, count)
    }

    private func encode(_ bytes: [UInt8], into ids: inout [Int32]) {
        var symbols: [Int32] = []
        bytes.withUnsafeBufferPointer { bytes in
            PretokenSplitter.splitCLIP(bytes) { range in
                symbols.removeAll(keepingCapacity: true)
                for byte in bytes[range].dropLast() { symbols.append(innerIDs[Int(byte)]) }
                symbols.append(lastIDs[Int(bytes[range.upperBound - 1])])
                merges.merge(&symbols)
                ids.append(contentsOf: symbols)
            }
        }
    }

    /// Applies NFC, then lowercases character by character, as the reference's normalizer does; returns UTF-8.
    private static func normalized(_ text: String) -> [UInt8] {
        // The reference also folds white space; the splitter drops all of it anyway.
        var bytes: [UInt8] = []
        for scalar in text.precomposedStringWithCanonicalMapping.unicodeScalars {
            if hasCase(scalar.value) {
                bytes.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            } else {
                appendUTF8(scalar.value, to: &bytes)
            }
        }
        return bytes
    }

    /// True for letters, Roman numerals and circled letters of Unicode 14.
    ///
    /// The standard library also lowercases later capitals (Garay, Unicode 16), which the reference leaves unchanged.
    private static func hasCase(_ scalar: UInt32) -> Bool {
        UnicodeClass.of(scalar) != .other || (0x24B6...0x24CF).contains(scalar)
    }
}
