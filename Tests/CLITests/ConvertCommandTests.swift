import Foundation
import Testing

/// `model convert`, and a folder of PyTorch's files as any other model.
@Suite struct ConvertCommandTests {
    private static let fixtures = URL(filePath: BundledModelTests.repository).appending(path: "Tests/Fixtures").path

    /// A CLIP vision tower in PyTorch's format.
    private static func makeTower(_ tool: Tool) throws -> String {
        let folder = tool.path("clip")
        try FileManager.default.copyItem(atPath: fixtures + "/pytorch/tower", toPath: folder)
        try FileManager.default.copyItem(
            atPath: fixtures + "/golden/towers/clip64_28/config.json", toPath: folder + "/config.json")
        return folder
    }

    @Test func `a folder of PyTorch's files is inspected and converted`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let source = try Self.makeTower(tool)
        let out = tool.path("new/safetensors")
        let made = try tool.run("model", "convert", source, "--out", out)
        #expect(made.status == 0 && made.text == out + "\n", "\(made.errors)")
        #expect(made.errors.contains("56 tensors"))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: out).sorted() == ["config.json", "model.safetensors"])
        func inspect(_ folder: String) throws -> String {
            let result = try tool.run("model", "inspect", folder, "--check-tensors")
            #expect(result.status == 0, "\(result.errors)")
            return result.text
        }
        #expect(try inspect(source) == inspect(out))
        let report = try tool.run("model", "convert", out, "--out", tool.path("again"), "--json").object()
        #expect(report["tensors"] as? Int == 56 && report["files"] as? Int == 1)
        #expect(
            FileManager.default.contentsEqual(
                atPath: out + "/model.safetensors", andPath: tool.path("again/model.safetensors")))
    }

    @Test func `faults have a code and a status`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let source = try Self.makeTower(tool)
        func expect(_ arguments: [String], _ status: Int32, _ code: String, _ says: String) throws {
            let result = try tool.run(["model", "convert"] + arguments + ["--json"])
            #expect(result.status == status, "\(arguments): \(result.errors)")
            let error = try result.exitError()
            #expect(error["error"] as? String == code, "\(error)")
            #expect((error["message"] as? String)?.contains(says) == true, "\(error)")
        }
        try expect([source, "--out", source], 64, "folder_not_empty", "choose a new or an empty folder")
        try expect([source, "--out", "/proc/a"], 13, "write_failed", "/proc/a")
        try expect([tool.path("nosuch"), "--out", tool.path("a")], 12, "folder_missing", "no such model folder")
        for (name, code, says) in [
            ("legacy", "pytorch_unsupported", "before 1.6"), ("module", "pickle_refused", "nothing was run"),
            ("training", "pytorch_unsupported", "state_dict"),
        ] {
            try FileManager.default.removeItem(atPath: source + "/pytorch_model.bin")
            try FileManager.default.copyItem(
                atPath: "\(Self.fixtures)/pytorch/\(name).bin", toPath: source + "/pytorch_model.bin")
            try expect([source, "--out", tool.path("a")], 12, code, says)
            #expect(try tool.run("model", "inspect", source).status == 12)
        }
        #expect(!FileManager.default.fileExists(atPath: tool.path("a")))
    }
}
