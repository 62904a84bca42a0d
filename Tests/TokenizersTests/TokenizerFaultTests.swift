import Foundation
import TestSupport
import Testing
import Tokenizers

/// Tokenizer files that are damaged or hostile: an error that names the file and the fault, never a trap.
@Suite struct TokenizerFaultTests {
    /// A change of a golden file's text.
    struct Damage: Sendable, CustomStringConvertible {
        var folder: String
        var file: String
        var from: String
        var to: String
        var message: String
        var description: String { "\(file): \(from) → \(to)" }
    }

    static let llama = "case09_tokenizer_bpe_llama3"
    static let vicuna = "case09_tokenizer_spm_llama2"
    static let clip = "case09_tokenizer_clip"

    static let damages: [Damage] = [
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": 5000,", message: "not dense"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": 1,", message: "two tokens"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": -1,", message: "integer of at least 0"
        ),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": 1.5,", message: "expected an integer"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": 1e1,", message: "expected an integer"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": 99999999999999999999,",
            message: "limit"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": \"0\",",
            message: "integer of at least 0"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"!\": [0],",
            message: "integer of at least 0"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"\\ud800\": 0,", message: "surrogate"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"\\q\": 0,", message: "escape"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "\"zzzzzz\": 0,", message: "byte 33"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"!\": 0,", to: "", message: "not dense"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "\"i qqqq\"", message: "merge 1 names"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "\"! i\"", message: "merge 1 names"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "\"in\"", message: "two parts"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "\"i n d\"", message: "two parts"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "[\"i\"]", message: "fewer than two"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "[\"i\",\"n\",\"d\"]", message: "more than two"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"i n\"", to: "7", message: "expected a string"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"type\": \"BPE\"", to: "\"type\": \"Unigram\"",
            message: "Unigram"),
        Damage(folder: llama, file: "tokenizer.json", from: "\"vocab\"", to: "\"vocabulary\"", message: "model.vocab"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\\\\p{N}{1,3}", to: "\\\\p{N}",
            message: "splitting expression"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"id\": 900,", to: "\"id\": \"900\",", message: "added token"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"id\": 900,", to: "\"id\": 3,", message: "and another token"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"version\"", to: "\"model\": 7, \"version\"",
            message: "expected an object"),
        Damage(
            folder: llama, file: "tokenizer.json", from: "\"version\"", to: "\"added_tokens\": 7, \"version\"",
            message: "twice"),
        Damage(
            folder: llama, file: "tokenizer_config.json", from: "\"901\"", to: "\"x\"", message: "added_tokens_decoder"),
        Damage(folder: llama, file: "tokenizer_config.json", from: "{", to: "[", message: "tokenizer_config.json"),
        Damage(
            folder: clip, file: "tokenizer.json", from: "\"!\": 0,", to: "\"zzzzzz\": 0,", message: "no token \"!\""),
        Damage(folder: clip, file: "tokenizer.json", from: "\"i n\"", to: "\"i qqqq\"", message: "merge 0 names"),
    ]

    private func failure(_ folder: URL) -> TokenizerError? {
        do {
            _ = try TokenizerLoader.load(folder: folder)
            return nil
        } catch { return error as? TokenizerError }
    }

    private func copy(_ name: String, to folder: URL) throws {
        let source = TokenizerGolden.root.appending(path: name)
        for file in try FileManager.default.contentsOfDirectory(atPath: source.path) {
            try FileManager.default.copyItem(at: source.appending(path: file), to: folder.appending(path: file))
        }
    }

    @Test(arguments: damages)
    func `A damaged file is refused by name`(_ damage: Damage) throws {
        try withTemporaryFolder { folder in
            try copy(damage.folder, to: folder)
            let file = folder.appending(path: damage.file)
            var text = try String(contentsOf: file, encoding: .utf8)
            let range = try #require(
                text.range(of: damage.from) ?? text.range(of: damage.from.replacing(": ", with: ":")))
            text.replaceSubrange(range, with: damage.to)
            try Data(text.utf8).write(to: file)
            let error = try #require(failure(folder))
            #expect(error.message.contains(damage.message), "\(error)")
            #expect(error.message.contains(folder.path))
        }
    }

    @Test func `A file cut anywhere is refused`() throws {
        try withTemporaryFolder { folder in
            for (source, name) in [(Self.llama, "tokenizer.json"), (Self.vicuna, "tokenizer.model")] {
                let whole = try Data(contentsOf: TokenizerGolden.root.appending(path: "\(source)/\(name)"))
                let file = folder.appending(path: name)
                for count in stride(from: 0, to: whole.count, by: whole.count / 97) {
                    try whole.prefix(count).write(to: file)
                    #expect(failure(folder) != nil, "\(name) cut at \(count)")
                }
                try FileManager.default.removeItem(at: file)
            }
        }
    }

    @Test(arguments: 0..<4)
    func `A file with any byte changed loads or is refused, and never traps`(_ seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        try withTemporaryFolder { folder in
            for (source, name) in [(Self.llama, "tokenizer.json"), (Self.vicuna, "tokenizer.model")] {
                let whole = try Data(contentsOf: TokenizerGolden.root.appending(path: "\(source)/\(name)"))
                let file = folder.appending(path: name)
                for _ in 0..<100 {
                    var changed = whole
                    changed[Int.random(in: 0..<whole.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                    try changed.write(to: file)
                    guard let tokenizer = try? TokenizerLoader.load(folder: folder) else { continue }
                    let ids = tokenizer.encode("Hello, 世界 \n\u{0}")
                    #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
                }
                try FileManager.default.removeItem(at: file)
            }
        }
    }

    @Test func `Huge, deep and odd files are refused`() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "tokenizer.json")
            #expect(failure(folder)?.code == .notFound)

            #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
            let handle = try FileHandle(forWritingTo: file)
            try handle.truncate(atOffset: 100 << 20)
            try handle.close()
            #expect(failure(folder)?.code == .fileTooLarge)

            let long = String(repeating: "a", count: 5000)
            try Data(#"{"model":{"vocab":{"\#(long)":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}}"#.utf8)
                .write(to: file)
            #expect(failure(folder)?.code == .unsupported)

            try Data(String(repeating: "[", count: 1_000_000).utf8).write(to: file)
            #expect(failure(folder)?.code == .fileMalformed)
            try Data((#"{"x":"# + String(repeating: "[", count: 1_000_000)).utf8).write(to: file)
            #expect(failure(folder)?.message.contains("nested deeper than 64 levels") == true)
            try Data((#"{"normalizer":"# + String(repeating: #"{"a":"#, count: 1_000_000)).utf8).write(to: file)
            #expect(failure(folder)?.message.contains("nested deeper than 64 levels") == true)
            try Data([0x7B, 0xFF, 0x7D]).write(to: file)
            #expect(failure(folder)?.message.contains("UTF-8") == true)
            try FileManager.default.removeItem(at: file)

            try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
            #expect(failure(folder)?.code == .fileUnreadable)
            try FileManager.default.removeItem(at: file)
            #expect(mkfifo(file.path, 0o600) == 0)
            #expect(failure(folder)?.code == .fileUnreadable)
        }
    }

    @Test func `A token longer than the limit is refused`() throws {
        try withTemporaryFolder { folder in
            try copy(Self.llama, to: folder)
            let file = folder.appending(path: "tokenizer.json")
            var text = try String(contentsOf: file, encoding: .utf8)
            let range = try #require(text.range(of: #""!":"#))
            text.replaceSubrange(range, with: "\"\(String(repeating: "a", count: 5000))\":")
            try Data(text.utf8).write(to: file)
            #expect(failure(folder)?.message.contains("above the limit of 4096") == true)
        }
    }

    @Test func `An added token that looks like an expression is literal text`() throws {
        try withTemporaryFolder { folder in
            try copy(Self.llama, to: folder)
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                let file = folder.appending(path: name)
                let text = try String(contentsOf: file, encoding: .utf8)
                try Data(text.replacing("<|reserved_special_token_3|>", with: "(a+)+$|.*").utf8).write(to: file)
            }
            let tokenizer = try TokenizerLoader.load(folder: folder)
            #expect(tokenizer.id(ofSpecial: "(a+)+$|.*") == 911)
            let text = String(repeating: "a", count: 5000) + "!"
            #expect(!tokenizer.encode(text, parseSpecial: true).contains(911))
            #expect(tokenizer.encode("x(a+)+$|.*", parseSpecial: true).last == 911)
        }
    }

    @Test func `Merges as pairs give the same ids as merges as strings`() throws {
        try withTemporaryFolder { folder in
            try copy(Self.llama, to: folder)
            let file = folder.appending(path: "tokenizer.json")
            var json = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
            var model = try #require(json["model"] as? [String: Any])
            let merges = try #require(model["merges"] as? [String])
            model["merges"] = merges.map { $0.split(separator: " ").map(String.init) }
            json["model"] = model
            try JSONSerialization.data(withJSONObject: json).write(to: file)
            let pairs = try TokenizerLoader.load(folder: folder)
            let strings = try TokenizerGolden.llama3()
            let text = "The quick brown fox jumps over the lazy dog, doesn't it? 12345 你好"
            #expect(pairs.encode(text) == strings.encode(text))
        }
    }
}
