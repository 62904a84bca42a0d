import Checkpoints
import Foundation
import Tensors
import Testing

/// Files that PyTorch wrote: Tests/Fixtures/pytorch/write.py.
@Suite struct PyTorchFileTests {
    static let fixtures = URL(filePath: goldenFolder).deletingLastPathComponent().appending(path: "pytorch").path

    /// Expects that the tensors of both have the same types, shapes and bytes.
    private static func expectSame(
        _ found: [String: StoredTensor], _ wanted: [String: StoredTensor], without names: Set<String> = []
    ) {
        #expect(Set(found.keys).subtracting(names) == Set(wanted.keys))
        for (name, tensor) in wanted {
            let other = found[name]
            #expect(other?.type == tensor.type && other?.shape == tensor.shape, "\(name)")
            #expect(other?.bytes.elementsEqual(tensor.bytes) == true, "\(name)")
            #expect(other?.byteCount == tensor.bytes.count, "\(name)")
        }
    }

    @Test("every type and view has the values that PyTorch has", arguments: 2...5)
    func types(pickleProtocol: Int) throws {
        let file = try PyTorchFile(path: "\(Self.fixtures)/types\(pickleProtocol).bin")
        let wanted = try SafetensorsFile(path: Self.fixtures + "/types.safetensors").tensors
        #expect(wanted.count == 63)
        Self.expectSame(file.tensors, wanted)
        #expect(Set(file.names) == Set(wanted.keys) && file.names.count == wanted.count)
        #expect(file.dataBytes == wanted.values.reduce(0) { $0 + $1.bytes.count })
        let bytes = try Data(contentsOf: URL(filePath: file.path))
        #expect(file.fileBytes == bytes.count)
    }

    @Test func `tensors that are in order point into the mapping, at 64 bytes`() throws {
        let file = try PyTorchFile(path: Self.fixtures + "/clip/pytorch_model.bin")
        for tensor in file.tensors.values {
            #expect(Int(bitPattern: tensor.bytes.baseAddress) % 64 == 0, "\(tensor.name)")
        }
        let tied = try PyTorchFile(path: Self.fixtures + "/tied/pytorch_model.bin").tensors
        let embeddings = try #require(tied["model.embed_tokens.weight"]?.bytes.baseAddress)
        #expect(tied["lm_head.weight"]?.bytes.baseAddress == embeddings)
    }

    static let cases: [(String, String, Set<String>)] = [
        ("llava", "case13_truncation", ["model.layers.0.self_attn.rotary_emb.inv_freq"]),
        ("tower", "towers/clip64_28", ["vision_model.embeddings.position_ids"]),
        (
            "clip", "case07_clip/clipmodel_eos_last",
            ["vision_model.embeddings.position_ids", "text_model.embeddings.position_ids"]
        ),
        ("tied", "case08_llm/tied_tiny_embeddings", ["lm_head.weight"]),
    ]

    @Test("a folder of PyTorch's files has the bytes of the golden case", arguments: cases)
    func folders(name: String, golden: String, added: Set<String>) throws {
        let wanted = try WeightsFolder(path: "\(goldenFolder)/\(golden)")
        #expect(wanted.format == .safetensors)
        let folder = try WeightsFolder(path: "\(Self.fixtures)/\(name)")
        #expect(folder.format == .pytorch && folder.notes == [])
        #expect(folder.files.count == (name == "llava" ? 2 : 1))
        Self.expectSame(folder.tensors, wanted.tensors, without: added)
    }

    @Test func `a folder with both formats uses safetensors`() throws {
        try withNano { folder in
            try Data("no weights".utf8).write(to: URL(filePath: folder + "/pytorch_model.bin"))
            #expect(refusal(of: folder) == nil)
            #expect(try WeightsFolder(path: folder).format == .safetensors)
            try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
            expectRefusal(of: folder, says: [folder + "/pytorch_model.bin", "not a file of torch.save"])
        }
    }

    @Test(
        "an index that does not fit its shards is refused",
        arguments: [
            ("pytorch_model-00002-of-00002.bin", "../pytorch_model.bin", "leads out"),
            ("pytorch_model-00002-of-00002.bin", "model.safetensors", "not a .bin file"),
            ("pytorch_model-00002-of-00002.bin", "pytorch_model-00003-of-00003.bin", "shards are missing"),
            ("\"model.norm.weight\"", "\"model.other.weight\"", "does not have it"),
        ])
    func index(text: String, other: String, says: String) throws {
        try withTemporaryFolder { folder in
            for name in try FileManager.default.contentsOfDirectory(atPath: Self.fixtures + "/llava") {
                try FileManager.default.copyItem(
                    atPath: "\(Self.fixtures)/llava/\(name)", toPath: "\(folder)/\(name)")
            }
            #expect(try WeightsFolder(path: folder).tensors.count == 54)
            let path = folder + "/pytorch_model.bin.index.json"
            let index = try String(contentsOfFile: path, encoding: .utf8)
            try Data(index.replacing(text, with: other).utf8).write(to: URL(filePath: path))
            let error = #expect(throws: WeightsError.self) { try WeightsFolder(path: folder) }
            #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
        }
    }

    @Test(
        "what torch.save writes of other things is refused, with what to do",
        arguments: [
            ("legacy", "before 1.6"), ("training", "\"epoch\" is not a tensor"), ("tensor", "no dictionary of tensors"),
            ("module", "torch.nn.modules.linear.Linear"), ("sparse", "_rebuild_sparse_tensor"),
            ("complex", "torch.ComplexFloatStorage"),
            ("conjugated", "torch.ComplexFloatStorage"),
        ])
    func refused(name: String, says: String) throws {
        let error = #expect(throws: WeightsError.self) { try PyTorchFile(path: "\(Self.fixtures)/\(name).bin") }
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    }

    @Test func `the identity is that of the bytes`() throws {
        func identity(_ folder: String) throws -> [UInt8] {
            var all: [UInt8] = []
            try CheckpointFolder(path: folder, environment: [:]).identityBytes { all += Array($0) }
            return all
        }
        try withTemporaryFolder { folder in
            for source in ["case07_clip/clipmodel_eos_last/config.json"] {
                try FileManager.default.copyItem(
                    atPath: "\(goldenFolder)/\(source)", toPath: folder + "/config.json")
            }
            let path = folder + "/pytorch_model.bin"
            try FileManager.default.copyItem(atPath: Self.fixtures + "/clip/pytorch_model.bin", toPath: path)
            let first = try identity(folder)
            #expect(try identity(folder) == first)
            var data = try Data(contentsOf: URL(filePath: path))
            data[data.count / 2] ^= 1
            try data.write(to: URL(filePath: path))
            #expect(try identity(folder) != first)
        }
    }
}
