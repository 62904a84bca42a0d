internal import Checkpoints

/// Llama 3's tokenizer: a fixed regular expression splits the text, then byte pairs are merged within each piece.
///
/// Lossless: `decode(encode(x)) == x` for every text. Source: tokenizer.json of Llama 3 and 3.1.
struct ByteLevelTokenizer: Tokenizer {
    let beginID: Int32?
    let endID: Int32?
    let addsBegin: Bool
    let cleansUpSpaces: Bool

    private let table: TokenTable
    private let merges: MergeTable
    private let ignoreMerges: Bool
    private let special: SpecialTokens
    private let byteIDs: [Int32]  // 256: the ID of each byte

    var family: TokenizerFamily { .llama3 }
    var vocabularySize: Int { table.count }

    init(_ json: TokenizerJSON, settings: TokenizerSettings) throws {
        guard json.splitPatterns == [PretokenSplitter.llama3Pattern], json.normalizer == .null else {
            throw TokenizerError.unsupported(
                json.path, "a byte-level tokenizer whose splitting expression is not Llama 3's")
        }
        var table = TokenTable()
        var literal: Set<Int> = []  // IDs that encoding text never produces
        var bytes: [UInt8] = []
        try json.forEachToken { token, id in
            bytes.removeAll(keepingCapacity: true)
            if !ByteAlphabet.decode(token, into: &bytes) {
                bytes.append(contentsOf: token)
                literal.insert(id)
            }
            if let fault = table.set(id, bytes) { throw TokenizerError.malformed(json.path, fault) }
        }
        var named: [String: Int32] = [:]
        var hidden: Set<Int32> = []
        for token in json.added {
            if !table.has(token.id) {
                bytes.removeAll(keepingCapacity: true)
                if !ByteAlphabet.decode(Array(token.content.utf8), into: &bytes) { bytes = Array(token.content.utf8) }
                if let fault = table.set(token.id, bytes) { throw TokenizerError.malformed(json.path, fault) }
            } else if !table.bytes(token.id).elementsEqual(token.content.utf8) {
                throw TokenizerError.malformed(
                    json.path, "id \(token.id) is \(TokenizerError.quoted(token.content)) and another token")
            }
            literal.insert(token.id)
            named[token.content] = Int32(token.id)
            if token.special { hidden.insert(Int32(token.id)) }
        }
        if let fault = table.finish(isIndexed: { !literal.contains($0) }) {
            throw TokenizerError.malformed(json.path, fault)
        }
        byteIDs = try (0...255).map { byte -> Int32 in
            guard let id = table.id(of: [UInt8(byte)]) else {
                throw TokenizerError.malformed(json.path, "the vocabulary has no token for byte \(byte)")
            }
            return id
        }

        var merges = MergeTable(expecting: min(table.count * 3, MergeTable.maximumCount))
        var merged: [UInt8] = []
        try json.forEachMerge { left, right, rank in
            merged.removeAll(keepingCapacity: true)
            guard ByteAlphabet.decode(left, into: &merged), let leftID = table.id(of: merged) else {
                throw Self.unknownMerge(left, rank, json.path)
            }
            let middle = merged.count
            guard ByteAlphabet.decode(right, into: &merged), let rightID = table.id(of: merged[middle...]) else {
                throw Self.unknownMerge(right, rank, json.path)
            }
            guard let id = table.id(of: merged) else { throw Self.unknownMerge(left + right, rank, json.path) }
            merges.insert(leftID, rightID, rank: UInt32(rank), id: id)
        }

        let beginToken = json.beginToken
        beginID = try (beginToken ?? settings.begin).map { token in
            guard let id = named[token] else {
                throw TokenizerError.malformed(json.path, "the begin token \(TokenizerError.quoted(token)) has no id")
            }
            return id
        }
        addsBegin = beginToken != nil
        endID = settings.end.flatMap { named[$0] }
        cleansUpSpaces = settings.cleanUpSpaces ?? true  // transformers 4.43's default
        ignoreMerges = json.ignoreMerges
        special = SpecialTokens(named: named, hidden: hidden)
        self.table = table
        self.merges = merges
    }

    static func unknownMerge(_ token: ArraySlice<UInt8>, _ rank: Int, _ path: String) -> TokenizerError {
        let name = TokenizerError.quoted(String(decoding: token, as: UTF8.self))
        return .malformed(path, "merge \(rank) names \(name), which is not in the vocabulary")
    }

    func id(ofSpecial token: String) -> Int32? { special.id(of: token) }
    func isSpecial(_ id: Int32) -> Bool { special.contains(id) }
    func tokenBytes(_ id: Int32) -> [UInt8] { Array(table.bytes(Int(id))) }
    func splitSpecial(_ text: String) -> [PromptPiece] { special.split(text) }
    func makeAssembler(skipSpecial: Bool) -> TokenAssembler { TokenAssembler(self, skipSpecial: skipSpecial) }

    func encode(_ pieces: [PromptPiece]) -> [Int32] {
        var ids: [Int32] = []
        for piece in pieces.joined {
            switch piece {
            case .special(let id): ids.append(id)
            case .text(let text): encode(text, into: &ids)
            }
        }
        return ids
    }

    private func encode(_ text: String, into ids: inout [Int32]) {
        var symbols: [Int32] = []
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            PretokenSplitter.splitLlama3(bytes) { range in
                let piece = UnsafeBufferPointer(rebasing: bytes[range])
                if ignoreMerges, let id = table.id(of: UnsafeRawBufferPointer(piece)) {
                    ids.append(id)
                    return
                }
                symbols.removeAll(keepingCapacity: true)
                for byte in piece { symbols.append(byteIDs[Int(byte)]) }
                merges.merge(&symbols)
                ids.append(contentsOf: symbols)
            }
        }
    }
}
