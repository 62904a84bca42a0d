import Foundation
import Testing

/// `--kv`: the type of cached keys and values.
@Suite struct KeyValueTests {
    private func derived(_ tool: Tool) -> [String] {
        let folder = tool.path("cache/derived")
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    private func bytes(_ tool: Tool, _ name: String) -> Int {
        ((try? FileManager.default.attributesOfItem(atPath: tool.path("cache/derived") + "/" + name))?[.size] as? Int)
            ?? 0
    }

    /// The recordings that the bundled model is asked about in BundledModelTests.
    @Test func `the bundled model answers the same with int8 keys and values`() throws {
        for recording in try BundledModelTests.recordings.get() {
            let tool = try Tool()
            defer { tool.remove() }
            for type in ["int8", "bf16"] {
                let result = try tool.run(
                    ["ask", BundledModelTests.folder + recording.file] + recording.questions.map(\.text) + [
                        "--model", BundledModelTests.repository + "/Models/nano", "--max-tokens", "64", "--json",
                        "--kv", type,
                    ])
                #expect(result.status == 0, "\(result.errors)")
                let answers = try result.lines().map { $0["answer"] as? String ?? "" }
                #expect(answers == recording.questions.map(\.answer), "\(recording.file), \(type)")
            }
        }
    }

    @Test func `each type has a prefix cache of its own`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        func ask(_ options: String...) throws -> (ids: [Int], reused: Bool) {
            let run = try tool.run(
                ["ask", video, "What is it?", "--max-tokens", "4", "--prefix-cache", "now", "--json"] + options)
            let answer = try run.object()
            return (answer["token_ids"] as? [Int] ?? [], answer["reused"] as? Bool ?? false)
        }
        let first = try ask()
        let plain = derived(tool)
        #expect(!first.reused && plain.count == 1)
        let second = try ask("--kv", "int8")
        let both = derived(tool)
        #expect(!second.reused && both.count == 2)
        let small = try #require(both.first { !plain.contains($0) })
        // int8 with a 4-byte scale for each head against f32; the pre-fusion keys and values stay as computed.
        #expect(bytes(tool, small) < bytes(tool, plain[0]))
        let third = try ask("--kv", "int8")
        #expect(third.reused && third.ids == second.ids)
        #expect(try ask().reused && ask("--kv", "auto").reused && derived(tool) == both)
        // The precision itself is not another type.
        let bf16 = try ask("--precision", "bf16")
        let named = try ask("--precision", "bf16", "--kv", "bf16")
        #expect(!bf16.reused && named.reused && named.ids == bf16.ids)
    }

    @Test func `a damaged int8 prefix cache is computed again`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let line = [
            "ask", try Fixtures.video.get(), "What is it?", "--max-tokens", "4", "--prefix-cache", "now", "--kv",
            "int8",
            "--json",
        ]
        let first = try tool.run(line).object()
        let path = tool.path("cache/derived") + "/" + (try #require(derived(tool).first))
        var data = try Data(contentsOf: URL(filePath: path))
        data[data.count - 5000] ^= 1
        try data.write(to: URL(filePath: path))
        let again = try tool.run(line).object()
        #expect(again["reused"] as? Bool == false && again["answer"] as? String == first["answer"] as? String)
        #expect(try tool.run(line).object()["reused"] as? Bool == true)
    }

    @Test func `a pipeline names the type, the command line overrides it`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_KV"] = "bf16"
        let video = try Fixtures.video.get()
        var sizes: [Int] = []
        for (own, options) in [("int8", [String]()), ("int8", ["--kv", "auto"]), (nil, [])] as [(String?, [String])] {
            for name in ["cache", "data", "out.jsonl"] {
                try? FileManager.default.removeItem(atPath: tool.path(name))
            }
            let kv = own.map { "kv: \($0)\n" } ?? ""
            let text = "version: 1\n\(kv)inputs: [\(video)]\noutput: out.jsonl\nquestions: [What is it?]\n"
            try Data(text.utf8).write(to: URL(filePath: tool.path("p.yaml")))
            let result = try tool.run(["run", tool.path("p.yaml"), "--prefix-cache", "now"] + options)
            #expect(result.status == 0, "\(result.errors)")
            sizes.append(bytes(tool, try #require(derived(tool).first)))
        }
        // int8, f32 and bf16.
        #expect(sizes[0] < sizes[2] && sizes[2] < sizes[1], "\(sizes)")
    }

    @Test func `the memory limit counts the type's bytes`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        func needed(_ type: String) throws -> Int {
            let run = try tool.run(
                "ask", video, "What is it?", "--max-tokens", "16", "--memory", "1K", "--kv", type, "--json")
            let message = try run.exitError()["message"] as? String ?? ""
            let digits = message.split(separator: " ").compactMap { Int($0) }
            return try #require(digits.first { $0 > 1000 }, "\(message)")
        }
        #expect(try needed("int8") < needed("bf16") && needed("bf16") < needed("auto"))
    }
}
