import Foundation
import Testing

/// LLaVA-v1.5 on the command line, with the small checkpoint of transformers.
@Suite struct LlavaTests {
    private static let model = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/llava/hf").path
    private static let image = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/golden/case11_end_to_end/png/a.png").path

    @Test func `a range that does not fit is refused, its parts are answered`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let options = ["--model", Self.model, "--max-tokens", "8"]
        // 256 positions: 12 frames of 16 tokens do not fit beside the text.
        let refused = try tool.run(["ask", video, "What is seen?"] + options)
        #expect(refused.status == 15)
        #expect(refused.text.isEmpty)
        #expect(refused.errors.contains("positions and the model has 256: 12 frames at 16 each"))
        #expect(refused.errors.contains("frames would fit: ask about a shorter range"))
        #expect(refused.errors.contains("--from and --to set the range"))

        let indexed = try tool.run("index", video, "--model", Self.model, "--json")
        #expect(indexed.status == 0, "\(indexed.errors)")
        let parts = try tool.run(["ask", video, "What is seen?", "--segments", "6", "--json"] + options)
        #expect(parts.status == 0, "\(parts.errors)")
        let answers = try parts.lines()
        #expect(answers.compactMap { $0["frames"] as? Int } == [6, 6])
        for answer in answers {
            let fusion = try #require(answer["fusion"] as? [String: Any])
            #expect(fusion["frames"] as? Int == 0 && fusion["of"] as? Int == 6)
            #expect(fusion["relative_standard_error"] as? Double == 0)
        }
    }

    @Test func `a picture is answered about, and the text is fused with nothing`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let answer = try tool.run(
            "ask", "--image", Self.image, "What is seen?", "--model", Self.model, "--max-tokens", "8")
        #expect(answer.status == 0, "\(answer.errors)")
        #expect(!answer.text.isEmpty)
        #expect(!answer.errors.contains("fused with"))
    }
}
