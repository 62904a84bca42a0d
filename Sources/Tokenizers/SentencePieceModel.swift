/// A sentencepiece model file (tokenizer.model): the pieces with scores and types, and the settings that affect
/// encoding.
///
/// Source: sentencepiece_model.proto. The protocol buffer is read by hand, because only three messages are needed.
struct SentencePieceModel {
    enum PieceType: UInt64 {
        case normal = 1
        case unknown = 2
        case control = 3
        case userDefined = 4
        case unused = 5
        case byte = 6
    }
    struct Piece {
        var text: ArraySlice<UInt8> = []
        var score: Float = 0
        var type = PieceType.normal
    }

    private(set) var pieces: [Piece] = []
    private var modelType: UInt64 = 1
    private var byteFallback = false
    private var addDummyPrefix = true
    private var removeExtraSpaces = true
    private var escapeSpaces = true
    private var hasCharacterMap = false
    private var spacesAsSuffix = false

    /// Sentencepiece's own limit is 16 characters.
    static let maximumPieceBytes = 256

    init(_ bytes: [UInt8], path: String) throws {
        var model = ProtobufReader(bytes[...], file: path)
        while let field = try model.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let message)):
                guard pieces.count < TokenTable.maximumCount else {
                    throw TokenizerError.malformed(path, "more than \(TokenTable.maximumCount) pieces")
                }
                pieces.append(try Self.piece(message, path: path))
            case (2, .bytes(let message)):
                var trainer = ProtobufReader(message, file: path)
                while let field = try trainer.next() {
                    switch (field.number, field.value) {
                    case (3, .integer(let type)): modelType = type
                    case (24, .integer(let flag)): spacesAsSuffix = flag != 0
                    case (35, .integer(let flag)): byteFallback = flag != 0
                    default: break
                    }
                }
            case (3, .bytes(let message)):
                var normalizer = ProtobufReader(message, file: path)
                while let field = try normalizer.next() {
                    switch (field.number, field.value) {
                    case (2, .bytes(let map)): hasCharacterMap = !map.isEmpty
                    case (3, .integer(let flag)): addDummyPrefix = flag != 0
                    case (4, .integer(let flag)): removeExtraSpaces = flag != 0
                    case (5, .integer(let flag)): escapeSpaces = flag != 0
                    default: break
                    }
                }
            default: break
            }
        }
        guard !pieces.isEmpty else { throw TokenizerError.malformed(path, "the model has no pieces") }
        guard modelType == 2 else { throw TokenizerError.unsupported(path, "a sentencepiece model that is not BPE") }
        guard byteFallback else { throw TokenizerError.unsupported(path, "sentencepiece without byte fallback") }
        guard addDummyPrefix, !removeExtraSpaces, escapeSpaces, !hasCharacterMap, !spacesAsSuffix else {
            throw TokenizerError.unsupported(path, "sentencepiece normalization that is not Llama 2's")
        }
    }

    private static func piece(_ message: ArraySlice<UInt8>, path: String) throws -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(message, file: path)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)):
                guard text.count <= maximumPieceBytes, String(validating: text, as: UTF8.self) != nil else {
                    throw TokenizerError.malformed(
                        path, "a piece is not UTF-8 of at most \(maximumPieceBytes) bytes")
                }
                piece.text = text
            case (2, .fixed32(let bits)):
                piece.score = Float(bitPattern: bits)
                guard piece.score.isFinite else { throw TokenizerError.malformed(path, "a score is not finite") }
            case (3, .integer(let raw)):
                guard let type = PieceType(rawValue: raw) else {
                    throw TokenizerError.malformed(path, "a piece has the unknown type \(raw)")
                }
                piece.type = type
            default: break
            }
        }
        guard !piece.text.isEmpty else { throw TokenizerError.malformed(path, "a piece is empty") }
        return piece
    }
}

/// Reads the fields of a protocol buffer message in order.
struct ProtobufReader {
    enum Value {
        case integer(UInt64)
        case fixed64
        case bytes(ArraySlice<UInt8>)
        case fixed32(UInt32)
    }

    private var rest: ArraySlice<UInt8>
    private let file: String

    init(_ bytes: ArraySlice<UInt8>, file: String) {
        rest = bytes
        self.file = file
    }

    private var cut: TokenizerError { .malformed(file, "a field is cut off or malformed", at: rest.startIndex) }

    /// The next field; nil at the end.
    mutating func next() throws -> (number: UInt64, value: Value)? {
        if rest.isEmpty { return nil }
        let tag = try integer()
        let number = tag >> 3
        switch tag & 7 {
        case 0: return (number, .integer(try integer()))
        case 1:
            _ = try take(8)
            return (number, .fixed64)
        case 2:
            guard let length = Int(exactly: try integer()) else { throw cut }
            return (number, .bytes(try take(length)))
        case 5:
            let bytes = try take(4)
            return (number, .fixed32(bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }))
        default: throw cut
        }
    }

    private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw cut }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func integer() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw cut }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw cut
    }
}
