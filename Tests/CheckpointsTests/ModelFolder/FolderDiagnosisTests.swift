import Foundation
import Models
import Testing

/// What people give instead of a model folder is named, with the next step.
@Suite struct FolderDiagnosisTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        /// Names and contents; what ends with "/" is a folder.
        let files: [String: String]
        let says: [String]
        /// What of the folder is given.
        var given = ""
        var testDescription: String { name }
    }

    static let config = "{\"model_type\":\"llava_mini_llama\"}"
    static let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n"

    static let cases: [Case] = [
        Case(name: "nothing", files: [:], says: ["is empty", "config.json"]),
        Case(
            name: "LoRA", files: ["adapter_config.json": "{}", "adapter_model.safetensors": "x"],
            says: ["adapter_config.json", "peft_type"]),
        Case(
            name: "LoRA with a configuration",
            files: ["config.json": config, "adapter_model.bin": "x"],
            says: ["LoRA adapter without adapter_config.json"]),
        Case(name: "projector", files: ["mm_projector.bin": "x"], says: ["only a projector", "whole model"]),
        Case(
            name: "projector with a configuration", files: ["config.json": config, "mm_projector.bin": "x"],
            says: ["only a projector"]),
        Case(name: "GGUF", files: ["a.Q4.gguf": "GGUF"], says: ["GGUF", "safetensors"]),
        Case(name: "GGUF file", files: ["a.Q4.gguf": "GGUF"], says: ["a GGUF file"], given: "/a.Q4.gguf"),
        Case(name: "GGUF by another name", files: ["a": "GGUF"], says: ["a GGUF file"], given: "/a"),
        Case(
            name: "shards without an index",
            files: ["config.json": config, "model-00001-of-00002.safetensors": "x"],
            says: ["shards without model.safetensors.index.json", "fetch"]),
        Case(
            name: "pointer of weights", files: ["config.json": config, "model.safetensors": pointer],
            says: ["model.safetensors: a Git LFS pointer", "git lfs pull"]),
        Case(
            name: "pointer of a shard",
            files: [
                "config.json": config, "model.safetensors.index.json": "{}",
                "model-00001-of-00002.safetensors": pointer,
            ], says: ["00001-of-00002.safetensors: a Git LFS pointer"]),
        Case(
            name: "pointer of a tokenizer",
            files: ["config.json": config, "model.safetensors": "x", "tokenizer.model": pointer],
            says: ["tokenizer.model: a Git LFS pointer"]),
        Case(
            name: "pointer given", files: ["a.safetensors": pointer], says: ["Git LFS pointer"], given: "/a.safetensors"
        ),
        Case(
            name: "single file", files: ["config.json": config, "model.safetensors": "x"],
            says: ["a single file of a model", "give the folder"], given: "/model.safetensors"),
        Case(
            name: "single pickle", files: ["pytorch_model.bin": "x"], says: ["a single file of a model"],
            given: "/pytorch_model.bin"),
        Case(name: "other file", files: ["a.mp4": "x"], says: ["is a file, not a model folder"], given: "/a.mp4"),
        Case(
            name: "hub cache", files: ["refs/main": "abc", "blobs/x": "x", "snapshots/abc/config.json": config],
            says: ["give ", "/snapshots/abc"]),
        Case(
            name: "one level too high", files: ["llava-mini/config.json": config, "README": ""],
            says: ["in a subfolder", "/llava-mini"]),
        Case(
            name: "no pickle", files: ["config.json": config, "pytorch_model.bin": "x"],
            says: ["pytorch_model.bin", "not a file of torch.save"]),
        Case(
            name: "an empty list of shards", files: ["config.json": config, "pytorch_model.bin.index.json": "{}"],
            says: ["pytorch_model.bin.index.json", "weight_map is missing"]),
        Case(
            name: "PyTorch shards without an index",
            files: ["config.json": config, "pytorch_model-00001-of-00002.bin": "x"],
            says: ["shards without pytorch_model.bin.index.json"]),
        Case(
            name: "PyTorch weights only", files: ["pytorch_model.bin": "x"], says: ["only weights", "config.json too"]),
        Case(
            name: "PyTorch files of other names", files: ["config.json": config, "a.pt": "x"],
            says: ["other names than pytorch_model.bin"]),
        Case(name: "only PyTorch files of other names", files: ["a.bin": "x"], says: ["PyTorch files of other names"]),
        Case(name: "ONNX", files: ["config.json": config, "model.onnx": "x"], says: ["ONNX"]),
        Case(name: "TensorFlow", files: ["config.json": config, "tf_model.h5": "x"], says: ["TensorFlow"]),
        Case(name: "Flax", files: ["config.json": config, "flax_model.msgpack": "x"], says: ["Flax"]),
        Case(name: "diffusers", files: ["model_index.json": "{}", "unet/config.json": "{}"], says: ["diffusers"]),
        Case(name: "Llama's own", files: ["params.json": "{}", "consolidated.00.pth": "x"], says: ["consolidated"]),
        Case(name: "weights only", files: ["model.safetensors": "x"], says: ["only weights", "config.json"]),
        Case(
            name: "LLaVA-NeXT", files: ["config.json": "{\"model_type\":\"llava_next\"}", "model.safetensors": "x"],
            says: ["not a LLaVA-Mini checkpoint", "LLaVA-NeXT"]),
        Case(
            name: "Qwen-VL", files: ["config.json": "{\"model_type\":\"qwen2_5_vl\"}", "model.safetensors": "x"],
            says: ["not a LLaVA-Mini checkpoint", "Qwen-VL"]),
    ]

    @Test(arguments: cases)
    func `what is not a model folder is named`(one: Case) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-folder-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, text) in one.files {
            let file = URL(filePath: folder + "/" + name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        let text = refusal(of: folder + one.given)
        for word in one.says { #expect(text?.contains(word) == true, "\(text ?? "accepted")") }
    }

    @Test func `a hub name is told from a folder that is not there`() throws {
        func said(_ path: String) -> String { refusal(of: path) ?? "accepted" }
        #expect(said("ICTNLP/llava-mini-llama-3.1-8b").contains("name on a model hub"))
        #expect(said("ICTNLP/llava-mini-llama-3.1-8b").contains("it is not in "))
        #expect(said("ICTNLP/llava-mini-llama-3.1-8b@main").contains("name on a model hub"))
        #expect(said("/nowhere/model").contains("no such model folder"))
        #expect(said("./model").contains("no such model folder"))
    }
}
