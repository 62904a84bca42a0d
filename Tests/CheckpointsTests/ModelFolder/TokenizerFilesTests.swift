import Foundation
import Testing

/// Model folders with a damaged tokenizer (fault M06).
@Suite struct TokenizerFilesTests {
    @Test(
        "a damaged tokenizer is refused by file and fault",
        arguments: [
            ("\"!\":0,", "\"!\":900,", "not dense"), ("\"!\":0,", "", "not dense"),
            ("\"!\":0,", "\"!\":16777216,", "above the limit"), ("\"!\":0,", "\"!\":1,", "two tokens"),
            ("\"Ġ t\"", "\"Ġ qqqq\"", "merge 0 names \"qqqq\""), ("\"Ġ t\"", "\"Ġt\"", "two parts"),
            ("\"single_word\": false", "\"single_word\": true", "\"<|begin_of_text|>\" with single_word"),
            ("\"lstrip\": false", "\"lstrip\": true", "\"<|begin_of_text|>\" with lstrip"),
            ("\"rstrip\": false", "\"rstrip\": true", "\"<|begin_of_text|>\" with rstrip"),
            ("\"!\":0,", "\"<huge>\":0,", "above the limit of 4096"),
        ])
    func tokenizer(from: String, to: String, says: String) throws {
        try withNano { folder in
            let path = folder + "/tokenizer.json"
            var text = try String(contentsOfFile: path, encoding: .utf8)
            let range = try #require(text.range(of: from))
            text.replaceSubrange(range, with: to.replacing("<huge>", with: String(repeating: "a", count: 5_000_000)))
            try Data(text.utf8).write(to: URL(filePath: path))
            expectRefusal(of: folder, says: [path, says])
        }
    }

    @Test("a tokenizer of 100 MB is not read")
    func hugeTokenizer() throws {
        try withNano { folder in
            let path = folder + "/tokenizer.json"
            let handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.truncate(atOffset: 100_000_000)
            try handle.close()
            expectRefusal(of: folder, says: [path, "100000000 bytes", "at most 67108864"])
        }
    }
}
