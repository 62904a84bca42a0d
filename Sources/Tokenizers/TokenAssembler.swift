/// Converts token IDs to valid UTF-8, one ID at a time; appended text never changes.
///
/// Bytes of an incomplete character wait for the next ID. Invalid bytes become U+FFFD as in the reference: byte-level
/// decoders write one for each maximal subpart (Unicode, section 3.9), SentencePiece one for each byte.
public struct TokenAssembler: Sendable {
    private let tokenizer: any Tokenizer
    private let skipSpecial: Bool
    private let sentencePiece: SentencePieceTokenizer?
    private var pending: [UInt8] = []  // bytes of an incomplete character

    // SentencePiece only: the loop variables of LlamaTokenizer.convert_tokens_to_string.
    private var tokenIndex = 0  // of the tokens not skipped
    private var previousIsSpecial = false
    private var decodedNothing = true  // since the last special token
    private var held: [UInt8] = []  // text since the last special token, if `legacy` and special tokens are kept

    init(_ tokenizer: any Tokenizer, skipSpecial: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecial = skipSpecial
        sentencePiece = tokenizer as? SentencePieceTokenizer
    }

    /// Appends the text that an ID completes; ignores IDs outside the vocabulary.
    mutating func append(_ id: Int32, to text: inout [UInt8]) {
        guard id >= 0, Int(id) < tokenizer.vocabularySize else { return }
        let special = tokenizer.isSpecial(id)
        if special, skipSpecial { return }
        if let sentencePiece {
            append(id, special: special, sentencePiece, to: &text)
        } else {
            pending.append(contentsOf: tokenizer.tokenBytes(id))
            drain(final: false, perByte: false, into: &text)
        }
    }

    /// Appends the text held back at the end of the IDs; an incomplete character becomes U+FFFD.
    mutating func finish(into text: inout [UInt8]) {
        text.append(contentsOf: held)
        held.removeAll()
        drain(final: true, perByte: sentencePiece != nil, into: &text)
    }

    // Follows LlamaTokenizer.convert_tokens_to_string (transformers 4.43) and SentencePiece's Decode.
    private mutating func append(
        _ id: Int32, special: Bool, _ tokenizer: SentencePieceTokenizer, to text: inout [UInt8]
    ) {
        if special {
            var segment = takeHeld()
            drain(final: true, perByte: true, into: &segment)
            // The reference puts this space before the segment that the special token ends, not between the two.
            if !previousIsSpecial, tokenIndex > 0, tokenizer.legacy { text.append(0x20) }
            text.append(contentsOf: segment)
            text.append(contentsOf: tokenizer.rawPiece(id))
            previousIsSpecial = true
            decodedNothing = true
        } else if tokenizer.legacy, !skipSpecial {
            var segment = takeHeld()
            appendPiece(id, tokenizer, to: &segment)
            held = segment
        } else {
            appendPiece(id, tokenizer, to: &text)
        }
        tokenIndex += 1
    }

    // Moves the buffer out of self, because `drain` mutates self too.
    private mutating func takeHeld() -> [UInt8] {
        defer { held = [] }
        return held
    }

    private mutating func appendPiece(_ id: Int32, _ tokenizer: SentencePieceTokenizer, to text: inout [UInt8]) {
        if tokenizer.isByte(id) {
            if previousIsSpecial, tokenIndex == 1 { text.append(0x20) }
            previousIsSpecial = false
            pending.append(contentsOf: tokenizer.tokenBytes(id))
            let before = text.count
            drain(final: false, perByte: true, into: &text)
            if text.count > before { decodedNothing = false }
            return
        }
        let before = text.count
        drain(final: true, perByte: true, into: &text)
        if text.count > before { decodedNothing = false }

        var piece = tokenizer.rawPiece(id)
        let mark = SentencePieceTokenizer.spaceMark
        if previousIsSpecial, tokenIndex == 1, !piece.starts(with: mark) { text.append(0x20) }
        previousIsSpecial = false
        if tokenIndex == 0, piece.starts(with: mark) {
            piece = piece.dropFirst(mark.count)
            // The reference passes the rest to SentencePiece as a piece; a piece outside the vocabulary is returned
            // unchanged, including any U+2581 in it.
            if !piece.isEmpty, tokenizer.normalPiece(piece) == nil {
                text.append(contentsOf: piece)
                decodedNothing = false
                return
            }
        }
        // SentencePiece drops the U+2581 of its dummy prefix at the start; legacy=false turns the prefix off.
        if decodedNothing, tokenizer.legacy, piece.starts(with: mark) {
            piece = piece.dropFirst(mark.count)
            decodedNothing = false
        }
        if !piece.isEmpty { decodedNothing = false }
        SentencePieceTokenizer.appendSurface(piece, to: &text)
    }

    /// Moves complete characters from `pending` to `text` and replaces invalid bytes.
    ///
    /// - Parameters:
    ///   - final: an incomplete character at the end is replaced too, instead of waiting for more bytes.
    ///   - perByte: U+FFFD for each invalid byte, not for each maximal subpart.
    private mutating func drain(final: Bool, perByte: Bool, into text: inout [UInt8]) {
        var index = 0
        scan: while index < pending.count {
            switch UTF8Check.prefix(of: pending[index...]) {
            case .scalar(let length):
                text.append(contentsOf: pending[index..<index + length])
                index += length
            case .incomplete(let length):
                if !final { break scan }
                for _ in 0..<(perByte ? length : 1) { text.append(contentsOf: UTF8Check.replacement) }
                index += length
            case .broken(let length):
                for _ in 0..<(perByte ? length : 1) { text.append(contentsOf: UTF8Check.replacement) }
                index += length
            }
        }
        pending.removeFirst(index)
    }
}

/// Classifies the start of a byte sequence by table 3-7 (well-formed UTF-8) of the Unicode standard.
enum UTF8Check {
    enum Prefix: Equatable {
        /// A character of this many bytes.
        case scalar(Int)
        /// All remaining bytes; more bytes could complete a character.
        case incomplete(Int)
        /// This many ill-formed bytes: a character's first bytes without the rest, or one byte that begins none.
        case broken(Int)
    }

    /// U+FFFD.
    static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// The class of the first character; `incomplete(0)` if there are no bytes.
    static func prefix(of bytes: ArraySlice<UInt8>) -> Prefix {
        guard let first = bytes.first else { return .incomplete(0) }
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0..<0x80: return .scalar(1)
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return .broken(1)
        }
        for offset in 1..<length {
            guard offset < bytes.count else { return .incomplete(offset) }
            let byte = bytes[bytes.startIndex + offset]
            guard (offset == 1 ? second : 0x80...0xBF).contains(byte) else { return .broken(offset) }
        }
        return .scalar(length)
    }
}
