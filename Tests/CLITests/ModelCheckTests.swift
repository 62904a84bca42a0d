import Foundation
import Testing

/// `model perplexity` and `model check`.
@Suite struct ModelCheckTests {
    private static let llama = ModelCommandTests.golden.appending(path: "case08_llm")

    /// The tensors of a safetensors file that have 4 or 8 bytes per element, by name.
    private func tensors<Value: BitwiseCopyable>(_ url: URL, of type: Value.Type) throws -> [String: [Value]] {
        let bytes = try Data(contentsOf: url)
        let length = Int(bytes[0..<8].enumerated().reduce(UInt64(0)) { $0 | UInt64($1.1) << (8 * UInt64($1.0)) })
        let header = try #require(try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any])
        return header.compactMapValues { value in
            guard let offsets = (value as? [String: Any])?["data_offsets"] as? [Int] else { return nil }
            return bytes[8 + length + offsets[0]..<8 + length + offsets[1]].withUnsafeBytes { raw in
                let size = MemoryLayout<Value>.size
                return (0..<raw.count / size).map { raw.loadUnaligned(fromByteOffset: $0 * size, as: Value.self) }
            }
        }
    }

    /// e to the mean negative log-probability of `ids` but the first, by the reference's logits [ids.count, V].
    private func perplexity(_ ids: [Int64], _ logits: [Float]) -> Double {
        let width = logits.count / ids.count
        let scores = ids.indices.dropFirst().map { index in
            let row = logits[(index - 1) * width..<index * width].map(Double.init)
            return log(row.reduce(0) { $0 + exp($1) }) - row[Int(ids[index])]
        }
        return exp(scores.reduce(0, +) / Double(scores.count))
    }

    @Test(arguments: ["vicuna_mha", "tied_tiny_embeddings"])
    func `perplexity is that of the reference's logits`(name: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let inputs = try tensors(Self.llama.appending(path: "inputs.safetensors"), of: Int64.self)
        let expected = try tensors(Self.llama.appending(path: "expected.safetensors"), of: Float.self)
        let ids = try #require(inputs["\(name).prompt40"])
        let wanted = perplexity(ids, try #require(expected["\(name).logits40"]))
        let lines = String(repeating: "\(ids)\n", count: 2)
        let command = [
            "model", "perplexity", Self.llama.appending(path: name).path, "--ids", "-", "--precision", "f32",
        ]
        let result = try tool.run(command + ["--json"], input: Data(lines.utf8))
        #expect(result.status == 0, "\(result.errors)")
        let texts = try #require(try result.object()["texts"] as? [[String: Any]])
        #expect(texts.count == 2)
        for text in texts {
            let found = try #require(text["perplexity"] as? Double)
            #expect(abs(found / wanted - 1) < 2e-4, "\(found), the reference \(wanted)")
            #expect(text["tokens"] as? Int == 40 && text["scored"] as? Int == 39)
        }
        // Windows of 16 tokens: the first of each of three is not scored.
        let cut = try tool.run(command + ["--json", "--context", "16"], input: Data("\(ids)\n".utf8))
        #expect(try (cut.object()["texts"] as? [[String: Any]])?.first?["scored"] as? Int == 37)
        let outside = try tool.run(command, input: Data("[1, 1000000]\n".utf8))
        #expect(outside.status == 64, "\(outside.errors)")
        #expect(outside.errors.contains("unknown token ID 1000000"))
        #expect(try tool.run(command, input: Data("[1]\n".utf8)).errors.contains("at least two"))
    }

    @Test(arguments: ["vicuna_mha", "tied_tiny_embeddings"], ["bf16", "int8"])
    func `perplexity in bf16 and int8 is near that in f32`(name: String, precision: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let inputs = try tensors(Self.llama.appending(path: "inputs.safetensors"), of: Int64.self)
        let line = Data("\(try #require(inputs["\(name).prompt40"]))\n".utf8)
        let values = try ["f32", precision].map {
            let result = try tool.run(
                [
                    "model", "perplexity", Self.llama.appending(path: name).path, "--ids", "-", "--precision", $0,
                    "--json",
                ],
                input: line)
            #expect(result.status == 0, "\(result.errors.prefix(300))")
            return try #require((result.object()["texts"] as? [[String: Any]])?.first?["perplexity"] as? Double)
        }
        #expect(abs(values[1] / values[0] - 1) < 0.05, "\(values)")
    }

    @Test func `perplexity encodes a text with the folder's tokenizer`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let text = tool.path("text.txt")
        try Data("a red circle appears on the table. ".utf8).write(to: URL(filePath: text))
        let model = try Fixtures.model.get()
        let result = try tool.run("model", "perplexity", model, "--text", text, "--precision", "f32", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let report = try result.object()
        #expect(report["precision"] as? String == "f32" && report["context"] as? Int == 1024)
        let found = try #require((report["texts"] as? [[String: Any]])?.first)
        let (tokens, scored) = (found["tokens"] as? Int ?? 0, found["scored"] as? Int ?? 0)
        #expect(tokens > 1 && (scored == tokens || scored == tokens - 1))
        // Random weights predict nothing: about as many choices as there are tokens.
        #expect((found["perplexity"] as? Double ?? 0) > 100)
        try Data([0xFF, 0xFE]).write(to: URL(filePath: text))
        #expect(try tool.run("model", "perplexity", model, "--text", text).errors.contains("not valid UTF-8"))
        let clip = ModelCommandTests.golden.appending(path: "case07_clip/clipmodel_eos_last").path
        let refused = try tool.run("model", "perplexity", clip, "--ids", "-", input: Data("[1, 2]\n".utf8))
        #expect(refused.status == 12 && refused.errors.contains("no language model"), "\(refused.errors)")
    }

    @Test func `check compares bf16 with f32`() throws {
        var tool = try Tool(model: false)
        defer { tool.remove() }
        let temporary = tool.path("temporary")
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
        tool.environment["TMPDIR"] = temporary
        let questions = tool.path("questions.txt")
        try Data("# two questions\nWhat is seen?\nWho comes in?\n".utf8).write(to: URL(filePath: questions))
        let command = [
            "model", "check", try Fixtures.model.get(), try Fixtures.video.get(), "--frames", "5", "--max-tokens", "3",
            "--questions", questions,
        ]
        let result = try tool.run(command + ["--precision", "bf16", "--json"])
        #expect(result.status == 0, "\(result.errors)")
        let report = try result.object()
        #expect(report["precision"] as? String == "bf16" && report["frames"] as? Int == 5)
        let tokens = try #require(report["vision_tokens"] as? [String: Any])
        let (lowest, median) = (tokens["lowest_cosine"] as? Double ?? 0, tokens["median_cosine"] as? Double ?? 0)
        #expect(lowest > 0.99 && lowest <= median && median <= 1 + 1e-12, "\(lowest) \(median)")
        let answers = try #require(report["answers"] as? [[String: Any]])
        #expect(answers.map { $0["question"] as? String } == ["What is seen?", "Who comes in?"])
        for answer in answers {
            let first = try #require(answer["first_token_kl"] as? Double)
            #expect(first >= 0 && first < 0.1, "\(first)")
            #expect(answer["same"] as? Bool == (answer["reference"] as? String == answer["answer"] as? String))
        }
        #expect(report["changed"] as? Int == answers.count { $0["same"] as? Bool == false })
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary) == [])
        let text = try tool.run(command + ["--precision", "bf16"])
        #expect(text.text.contains("answers that change") && text.text.contains("bf16 compared with f32: 5 frames"))

        let short = Array(command.prefix(6)) + ["--precision", "bf16", "--tokens-only"]
        let alone = try tool.run(short + ["--json"])
        #expect(alone.status == 0, "\(alone.errors)")
        #expect((try alone.object()["answers"] as? [Any])?.isEmpty == true)
        #expect((try alone.object()["vision_tokens"] as? [String: Any])?["lowest_cosine"] as? Double == lowest)
        let shown = try tool.run(short).text
        #expect(shown.contains("vision tokens, cosine") && !shown.contains("divergence"))

        let same = try tool.run(command + ["--precision", "f32"])
        #expect(same.status == 64 && same.errors.contains("choose another precision"), "\(same.errors)")
        let other = try tool.run("model", "check", Fixtures.model.get(), "/nonexistent.mp4", "--precision", "bf16")
        #expect(other.status == 14, "\(other.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary) == [])
    }
}
