import Foundation
import Testing

/// The bundled model as an int8 folder, used through the program.
@Suite struct QuantizeCommandTests {
    static let model = BundledModelTests.repository + "/Models/nano"

    @Test func `a quantized model is inspected, indexed with and asked like any other`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let out = tool.path("new/int8")
        let made = try tool.run("model", "quantize", Self.model, "--out", out)
        #expect(made.status == 0, "\(made.errors)")
        #expect(made.text.hasPrefix("layer ") && made.text.hasSuffix(out + "\n"))
        #expect(made.text.contains("model.layers.4") && made.text.contains("vision_model.encoder.layers.0"))
        #expect(made.errors.contains("MiB are now"))

        let inspected = try tool.run("model", "inspect", out, "--json").object()
        let quantization = try #require(inspected["quantization"] as? [String: Any])
        #expect(quantization["vision"] as? String == "int8" && quantization["language"] as? String == "int8")
        #expect(quantization["matrices"] as? [String: Int] == ["int8": 76])
        #expect(quantization["kept"] as? [String] == [] && quantization["group_size"] as? Int == 32)
        let text = try tool.run("model", "inspect", out).text
        #expect(text.contains("vision int8, language int8: 76 in int8"))
        #expect(try tool.run("model", "inspect", Self.model, "--json").object()["quantization"] == nil)

        let recording = try #require(try BundledModelTests.recordings.get().first)
        let asked = recording.questions.map(\.text)
        func answers(_ options: [String]) throws -> [String] {
            let result = try tool.run(
                ["ask", BundledModelTests.folder + recording.file] + asked + ["--max-tokens", "64", "--json"] + options)
            try #require(result.status == 0, "\(result.errors)")
            return try result.lines().map { $0["answer"] as? String ?? "" }
        }
        let stored = try answers(["--model", out])
        #expect(stored == recording.questions.map(\.answer))
        // Quantized while loading: the same answers, another index.
        #expect(try answers(["--model", Self.model, "--precision", "int8"]) == stored)
        let video = BundledModelTests.folder + recording.file
        var indexes: Set<String> = []
        for options in [["--model", out], ["--model", Self.model, "--precision", "int8"], ["--model", Self.model]] {
            let result = try tool.run(["index", video, "--json"] + options)
            try #require(result.status == 0, "\(result.errors)")
            let lines = try result.lines()
            let index = try #require(lines.compactMap { $0["index"] as? String }.last)
            indexes.insert(index)
        }
        #expect(indexes.count == 3)
    }

    @Test func `int4 answers, and its matrices are listed in JSON`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let out = tool.path("int4")
        let report = try tool.run(
            "model", "quantize", Self.model, "--out", out, "--vision", "keep", "--language", "int4", "--json"
        ).object()
        #expect(report["vision"] as? String == "keep" && report["language"] as? String == "int4")
        let matrices = try #require(report["matrices"] as? [[String: Any]])
        #expect(matrices.count == 36)
        for matrix in matrices {
            #expect(matrix["format"] as? String == "int4")
            let error = try #require(matrix["relative_error"] as? Double)
            #expect((0.06...0.09).contains(error))
            #expect(try #require(matrix["cosine"] as? Double) > 0.99)
        }
        let recording = try #require(try BundledModelTests.recordings.get().first)
        let result = try tool.run(
            "ask", BundledModelTests.folder + recording.file, recording.questions[0].text, "--model", out, "--json")
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `faults have a code, a status and a reason, and leave nothing`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let out = tool.path("int8")
        #expect(try tool.run("model", "quantize", Self.model, "--out", out, "--quiet").status == 0)
        try FileManager.default.copyItem(atPath: out, toPath: tool.path("broken"))
        let file = try FileHandle(forWritingTo: URL(filePath: tool.path("broken/model.safetensors")))
        try file.truncate(atOffset: 1_000_000)
        try file.close()
        let cases: [([String], Int, String, String)] = [
            ([out, "--out", tool.path("a")], 12, "unsupported", "is quantized already"),
            ([Self.model, "--out", out], 64, "folder_not_empty", "choose a new or an empty folder"),
            ([Self.model, "--out", tool.path("a"), "--vision", "int4"], 64, "bad_request", "int8 or keep"),
            ([Self.model, "--out", tool.path("a"), "--language", "int2"], 64, "bad_request", "did you mean int"),
            (
                [Self.model, "--out", tool.path("a"), "--vision", "keep", "--language", "keep"], 64, "bad_request",
                "nothing to quantize"
            ),
            ([tool.path("broken"), "--out", tool.path("a")], 12, "size_mismatch", "the download is incomplete"),
            ([Self.model, "--out", "/proc/a"], 13, "write_failed", "/proc/a"),
        ]
        for (arguments, status, code, said) in cases {
            let result = try tool.run(["model", "quantize"] + arguments + ["--json"])
            #expect(result.status == status, "\(arguments): \(result.errors)")
            let error = try result.exitError()
            #expect(error["error"] as? String == code, "\(arguments): \(error)")
            #expect((error["message"] as? String)?.contains(said) == true, "\(error)")
        }
        #expect(!FileManager.default.fileExists(atPath: tool.path("a")))
        #expect(!FileManager.default.fileExists(atPath: tool.path("a.partial")))
        let asked = try tool.run("model", "inspect", tool.path("broken"))
        #expect(asked.status == 12 && asked.errors.contains("the download is incomplete"))
    }
}
