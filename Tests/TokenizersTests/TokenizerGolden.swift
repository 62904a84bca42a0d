import Foundation
import Testing
import Tokenizers

/// The golden folders that concern tokenizers, and what they hold.
enum TokenizerGolden {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/golden")
    static let llama3Folder = root.appending(path: "case09_tokenizer_bpe_llama3")
    static let sentencePieceFolder = root.appending(path: "case09_tokenizer_spm_llama2")
    static let clipFolder = root.appending(path: "case09_tokenizer_clip")

    static func llama3() throws -> any Tokenizer { try TokenizerLoader.load(folder: llama3Folder) }
    static func sentencePiece(legacy: Bool) throws -> SentencePieceTokenizer {
        let tokenizer = try #require(try TokenizerLoader.load(folder: sentencePieceFolder) as? SentencePieceTokenizer)
        return tokenizer.with(legacy: legacy)
    }

    static func expected<Value: Decodable>(_ folder: URL, as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: "expected.json")))
    }

    struct Llama3: Decodable {
        struct Entry: Decodable {
            var text: String
            var ids: [Int32]
            var ids_with_bos: [Int32]
            var decode_raw: String
            var decode_skip_special: String
            var decode_default: String
        }
        struct Random: Decodable {
            var ids: [Int32]
            var decode_raw: String
            var decode_default_skip_special: String
        }
        struct Message: Decodable {
            var role: String
            var content: String
        }
        struct Chat: Decodable {
            var template: String
            var add_generation_prompt: Bool
            var messages: [Message]
            var text: String
            var ids_of_text_as_plain_call: [Int32]
        }
        struct Conversation: Decodable {
            var conv_mode: String
            var question: String
            var prompt: String
            var tokenizer_image_token_ids: [Int32]
        }
        var vocab_len: Int
        var bos_id: Int32
        var eos_id: Int32
        var strings: [Entry]
        var decode_random_ids: [Random]
        var chat_template: [Chat]
        var conversation: [Conversation]
    }

    struct SentencePiece: Decodable {
        struct Entry: Decodable {
            var text: String
            var sp_encode: [Int32]
            var slow_legacy_true: [Int32]
            var decode_slow_legacy_true: String
            var slow_legacy_false: [Int32]
            var decode_slow_legacy_false: String
        }
        struct Random: Decodable {
            var ids: [Int32]
            var slow_legacy_false: String
        }
        struct Conversation: Decodable {
            var conv_mode: String
            var question: String
            var prompt: String
            var ids_slow_legacy_true: [Int32]
            var ids_slow_legacy_false: [Int32]
        }
        var vocab_len: Int
        var strings: [Entry]
        var decode_random_ids: [Random]
        var conversation: [Conversation]
    }

    struct CLIP: Decodable {
        struct Entry: Decodable {
            var text: String
            var fast: [Int32]
            var fast_padded_truncated_32: [Int32]
        }
        var vocab_len: Int
        var strings: [Entry]
    }
}

/// Compares code unit by code unit: Swift's `==` takes "é" and "e" + U+0301 for equal.
func same(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

/// What the reference's `tokenizer_image_token` does to a prompt string.
func imageTokenIDs(_ prompt: String, _ tokenizer: any Tokenizer) -> [Int32] {
    var ids = tokenizer.beginID.map { [$0] } ?? []
    for (index, chunk) in prompt.components(separatedBy: "<image>").enumerated() {
        if index > 0 { ids.append(-200) }
        ids += tokenizer.encode(chunk, parseSpecial: true)
    }
    return ids
}

/// A new folder that is removed afterwards.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

/// Reads one int64 tensor of a safetensors file: eight bytes of header length, the header as JSON, the data.
func int64Tensor(_ name: String, in file: URL) throws -> [Int32] {
    struct Tensor: Decodable {
        var data_offsets: [Int]
    }
    let data = try Data(contentsOf: file)
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONDecoder().decode([String: Tensor].self, from: data[8..<8 + length])
    let offsets = try #require(header[name]).data_offsets
    let bytes = [UInt8](data[8 + length + offsets[0]..<8 + length + offsets[1]])
    return stride(from: 0, to: bytes.count, by: 8).map { start in
        Int32(truncatingIfNeeded: bytes[start..<start + 8].reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) })
    }
}
