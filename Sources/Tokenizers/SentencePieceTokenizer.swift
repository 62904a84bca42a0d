internal import Checkpoints

/// The Llama 2 and Vicuna tokenizer: sentencepiece BPE over characters, with bytes for characters outside the
/// vocabulary.
///
/// Equal to transformers' slow LlamaTokenizer, which the reference uses. A text begins with a dummy space; spaces are
/// encoded as U+2581.
package struct SentencePieceTokenizer: Tokenizer {
    /// The ID of `<s>`.
    package let beginID: Int32?
    /// The ID of `</s>`.
    package let endID: Int32?
    /// `add_bos_token`; true if absent.
    package let addsBegin: Bool
    /// `clean_up_tokenization_spaces`; false if absent.
    package let cleansUpSpaces: Bool
    /// `legacy` of tokenizer_config.json: if true, text after a special token also gets the dummy space.
    package private(set) var legacy: Bool

    private let table: TokenTable
    private let merges: MergeTable
    private let special: SpecialTokens
    private let byteIDs: [Int32]  // 256: the IDs of <0x00> … <0xFF>
    private let byteOf: [Int32: UInt8]

    /// UTF-8 of U+2581, which represents a space.
    static let spaceMark: [UInt8] = [0xE2, 0x96, 0x81]

    /// Always `sentencePiece`.
    package var family: TokenizerFamily { .sentencePiece }
    /// The number of pieces, added tokens included.
    package var vocabularySize: Int { table.count }

    /// Builds the tokenizer from a tokenizer.model.
    init(_ model: SentencePieceModel, path: String, added: [TokenizerJSON.AddedToken], settings: TokenizerSettings)
        throws
    {
        var table = TokenTable()
        var reserved: Set<Int> = []
        var hidden: Set<Int32> = []
        for (id, piece) in model.pieces.enumerated() {
            if let fault = table.set(id, piece.text) { throw TokenizerError.malformed(path, fault) }
            if piece.type != .normal { reserved.insert(id) }
            if piece.type == .control || piece.type == .unknown { hidden.insert(Int32(id)) }
        }
        let vocabulary = try Self.finish(
            table, path: path, reserved: reserved, hidden: hidden, added: added, settings: settings)

        // All pairs of symbols that join into a piece, the highest score first; equal scores share a rank, so position
        // decides.
        let order = model.pieces.indices.filter { model.pieces[$0].type == .normal }
            .sorted { model.pieces[$0].score > model.pieces[$1].score }
        var merges = MergeTable(expecting: order.count * 2)
        var rank: UInt32 = 0
        var lastScore: Float?
        for id in order {
            let piece = model.pieces[id]
            if let lastScore, piece.score != lastScore { rank += 1 }
            lastScore = piece.score
            for cut in piece.text.indices.dropFirst() where piece.text[cut] & 0xC0 != 0x80 {
                guard let left = Self.symbol(piece.text[..<cut], vocabulary.table),
                    let right = Self.symbol(piece.text[cut...], vocabulary.table)
                else { continue }
                merges.insert(left, right, rank: rank, id: Int32(id))
            }
        }
        self.init(vocabulary, merges: merges, settings: settings)
    }

    /// Builds the tokenizer from a tokenizer.json; if both files exist, the reference uses tokenizer.model.
    init(_ json: TokenizerJSON, settings: TokenizerSettings) throws {
        let prepends =
            (json.normalizer["normalizers"]?.arrayValue ?? [json.normalizer]).contains {
                $0["type"]?.stringValue == "Prepend"
            }
            || json.hasPreTokenizer("Metaspace")
        guard prepends, json.splitPatterns.isEmpty, !json.ignoreMerges, json.wordEnd.isEmpty else {
            throw TokenizerError.unsupported(json.path, "byte-fallback BPE whose normalization is not Llama 2's")
        }
        var table = TokenTable()
        var reserved: Set<Int> = []
        try json.forEachToken { token, id in
            if let fault = table.set(id, token) { throw TokenizerError.malformed(json.path, fault) }
            if Self.byte(named: token[...]) != nil { reserved.insert(id) }
        }
        var hidden: Set<Int32> = []
        for token in json.added {
            reserved.insert(token.id)
            if token.special { hidden.insert(Int32(token.id)) }
        }
        let vocabulary = try Self.finish(
            table, path: json.path, reserved: reserved, hidden: hidden, added: json.added + settings.added,
            settings: settings)
        var merges = MergeTable(expecting: table.count * 2)
        try json.forEachMerge { left, right, rank in
            for token in [left, right, left + right] where vocabulary.all.id(of: token) == nil {
                throw ByteLevelTokenizer.unknownMerge(token, rank, json.path)
            }
            // Text must never become a special or a byte token, whatever merges a file has.
            guard let leftID = vocabulary.table.id(of: left), let rightID = vocabulary.table.id(of: right),
                let id = vocabulary.table.id(of: left + right)
            else { return }
            merges.insert(leftID, rightID, rank: UInt32(rank), id: id)
        }
        self.init(vocabulary, merges: merges, settings: settings)
    }

    private struct Vocabulary {
        var table: TokenTable  // only pieces that text may become
        var all: TokenTable  // every piece
        var named: [String: Int32]
        var hidden: Set<Int32>
        var byteIDs: [Int32]
    }

    private static func finish(
        _ bare: TokenTable, path: String, reserved: Set<Int>, hidden: Set<Int32>, added: [TokenizerJSON.AddedToken],
        settings: TokenizerSettings
    ) throws -> Vocabulary {
        var table = bare
        var (reserved, hidden) = (reserved, hidden)
        var named: [String: Int32] = [:]
        for token in added {
            if !table.has(token.id), let fault = table.set(token.id, Array(token.content.utf8)) {
                throw TokenizerError.malformed(path, fault)
            }
            guard table.bytes(token.id).elementsEqual(token.content.utf8) else {
                throw TokenizerError.malformed(
                    path, "id \(token.id) is \(TokenizerError.quoted(token.content)) and another token")
            }
            reserved.insert(token.id)
            named[token.content] = Int32(token.id)
            if token.special { hidden.insert(Int32(token.id)) }
        }
        var all = table
        if let fault = all.finish(isIndexed: { _ in true }) { throw TokenizerError.malformed(path, fault) }
        // The reference's all_special_tokens: those named by the configuration, or the usual three.
        for text in [settings.begin ?? "<s>", settings.end ?? "</s>", settings.unknown ?? "<unk>", settings.padding] {
            guard let text, let id = all.id(of: Array(text.utf8)) else { continue }
            named[text] = id
            hidden.insert(id)
            reserved.insert(Int(id))
        }
        let byteIDs = try (0...255).map { byte -> Int32 in
            let name = "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
            guard let id = all.id(of: Array(name.utf8)) else {
                throw TokenizerError.malformed(path, "the vocabulary has no piece \(name)")
            }
            reserved.insert(Int(id))
            return id
        }
        if let fault = table.finish(isIndexed: { !reserved.contains($0) }) {
            throw TokenizerError.malformed(path, fault)
        }
        return Vocabulary(table: table, all: all, named: named, hidden: hidden, byteIDs: byteIDs)
    }

    private init(_ vocabulary: Vocabulary, merges: MergeTable, settings: TokenizerSettings) {
        table = vocabulary.table
        byteIDs = vocabulary.byteIDs
        byteOf = Dictionary(uniqueKeysWithValues: vocabulary.byteIDs.enumerated().map { ($1, UInt8($0)) })
        special = SpecialTokens(named: vocabulary.named, hidden: vocabulary.hidden)
        beginID = vocabulary.named[settings.begin ?? "<s>"]
        endID = vocabulary.named[settings.end ?? "</s>"]
        addsBegin = settings.addBegin ?? true
        cleansUpSpaces = settings.cleanUpSpaces ?? false  // LlamaTokenizer's default
        legacy = settings.legacy ?? true  // if absent, transformers keeps the old behavior
        self.merges = merges
    }

    /// A copy with `legacy` set.
    package func with(legacy: Bool) -> SentencePieceTokenizer {
        var copy = self
        copy.legacy = legacy
        return copy
    }

    /// The byte of a piece such as `<0x0A>`; nil for other pieces.
    private static func byte(named piece: ArraySlice<UInt8>) -> UInt8? {
        guard piece.count == 6, piece.starts(with: "<0x".utf8), piece.last == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: piece.dropFirst(3).dropLast(), as: UTF8.self), radix: 16)
    }

    /// The symbol of a piece: its ID, or a negative value for a single character outside the vocabulary.
    private static func symbol(_ piece: ArraySlice<UInt8>, _ table: TokenTable) -> Int32? {
        if let id = table.id(of: piece) { return id }
        return piece.withUnsafeBufferPointer { bytes in
            let scalar = decodeScalar(bytes, at: 0)
            return scalar.length == bytes.count ? MergeTable.symbol(ofUnknown: scalar.value) : nil
        }
    }

    /// The ID of a special token by its text; nil if there is none.
    package func id(ofSpecial token: String) -> Int32? { special.id(of: token) }
    /// True for control, unknown and special added tokens.
    package func isSpecial(_ id: Int32) -> Bool { special.contains(id) }
    /// Splits text at special tokens, leftmost and longest first.
    package func splitSpecial(_ text: String) -> [PromptPiece] { special.split(text) }
    /// Makes a decoder that converts IDs to text one by one.
    package func makeAssembler(skipSpecial: Bool) -> TokenAssembler { TokenAssembler(self, skipSpecial: skipSpecial) }

    /// The bytes of a piece, U+2581 as a space; a byte piece gives its byte.
    package func tokenBytes(_ id: Int32) -> [UInt8] {
        if let byte = byteOf[id] { return [byte] }
        var bytes: [UInt8] = []
        Self.appendSurface(rawPiece(id), to: &bytes)
        return bytes
    }

    func isByte(_ id: Int32) -> Bool { byteOf[id] != nil }
    func rawPiece(_ id: Int32) -> ArraySlice<UInt8> { table.bytes(Int(id)) }
    func normalPiece(_ piece: ArraySlice<UInt8>) -> Int32? { table.id(of: piece) }

    /// Appends a piece with each U+2581 replaced by a space.
    static func appendSurface(_ piece: ArraySlice<UInt8>, to text: inout [UInt8]) {
        var index = piece.startIndex
        while index < piece.endIndex {
            if piece[index] == spaceMark[0], piece[index...].starts(with: spaceMark) {
                text.append(0x20)
                index += spaceMark.count
            } else {
                text.append(piece[index])
                index += 1
            }
        }
    }

    /// Encodes pieces as one text; text after a special token gets the dummy space only if `legacy`.
    package func encode(_ pieces: [PromptPiece]) -> [Int32] {
        var ids: [Int32] = []
        for (index, piece) in pieces.joined.enumerated() {
            switch piece {
            case .special(let id): ids.append(id)
            case .text(let text): encode(text, dummyPrefix: legacy || index == 0, into: &ids)
            }
        }
        return ids
    }

    private func encode(_ text: String, dummyPrefix: Bool, into ids: inout [Int32]) {
        var bytes = Self.spaceMark
        if !dummyPrefix { bytes.removeAll() }
        for byte in text.utf8 {
            if byte == 0x20 { bytes.append(contentsOf: Self.spaceMark) } else { bytes.append(byte) }
        }
        var symbols: [Int32] = []
        symbols.reserveCapacity(bytes.count)
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                let scalar = decodeScalar(bytes, at: index)
                let character = UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(bytes)[index..<index + scalar.length])
                symbols.append(table.id(of: character) ?? MergeTable.symbol(ofUnknown: scalar.value))
                index += scalar.length
            }
        }
        merges.merge(&symbols)
        var unknown: [UInt8] = []
        for symbol in symbols {
            if symbol >= 0 {
                ids.append(symbol)
            } else {
                unknown.removeAll(keepingCapacity: true)
                appendUTF8(MergeTable.scalar(ofUnknown: symbol), to: &unknown)
                ids.append(contentsOf: unknown.map { byteIDs[Int($0)] })
            }
        }
    }
}
