import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// Folders of PyTorch's files (Tests/Fixtures/pytorch/write.py), converted and quantized.
    @Suite struct ModelConverterTests {
        /// A LLaVA-Mini in shards whose tower is in a folder of its own, both in PyTorch's format.
        private static func makeSource(in folder: String) throws -> String {
            let (model, tower) = (folder + "/model", folder + "/tower")
            let files = fixtures.appending(path: "pytorch").path
            try FileManager.default.copyItem(atPath: files + "/llava", toPath: model)
            try FileManager.default.copyItem(atPath: files + "/tower", toPath: tower)
            try FileManager.default.copyItem(
                atPath: golden + "/towers/clip64_28/config.json", toPath: tower + "/config.json")
            try Data("notes".utf8).write(to: URL(filePath: model + "/README.md"))
            let config = try String(contentsOfFile: golden + "/case13_truncation/config.json", encoding: .utf8)
            try Data(config.replacing("../towers/clip64_28", with: "../tower").utf8).write(
                to: URL(filePath: model + "/config.json"))
            return model
        }

        private static func expectSame(
            _ found: [String: StoredTensor], _ wanted: [String: StoredTensor],
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(Set(found.keys) == Set(wanted.keys), sourceLocation: sourceLocation)
            for (name, tensor) in wanted {
                let other = found[name]
                #expect(
                    other?.type == tensor.type && other?.shape == tensor.shape
                        && other?.bytes.elementsEqual(tensor.bytes) == true, "\(name)", sourceLocation: sourceLocation)
            }
        }

        @Test func `the copy has the values in safetensors, the tower and every other file`() throws {
            let folder = try Folder()
            let source = try Self.makeSource(in: folder.path)
            let out = folder.path + "/out"
            var done: Int64 = 0
            let report = try ModelConverter(path: source).write(to: out) { read, total in
                #expect(read >= done && read <= total)
                done = read
            }
            #expect(
                files(in: out) == [
                    "README.md", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                    "model.safetensors.index.json", "vision_tower", "vision_tower/config.json",
                    "vision_tower/model.safetensors",
                ])
            let (old, new) = (try CheckpointFolder(path: source), try CheckpointFolder(path: out))
            try new.validate()
            #expect(old.weights.format == .pytorch && new.weights.format == .safetensors)
            #expect(new.notes == [] && old.notes == [])
            Self.expectSame(new.weights.tensors, old.weights.tensors)
            Self.expectSame(
                try #require(new.towerWeights).tensors, try #require(old.towerWeights).tensors)
            #expect(report.tensors == 54 + 56 && report.files == 3)
            #expect(
                report.bytes == done
                    && report.bytes == Int64(old.weights.dataBytes + (old.towerWeights?.dataBytes ?? 0)))
            // The same bytes each time, and from the copy again.
            _ = try ModelConverter(path: source).write(to: folder.path + "/again")
            for file in files(in: out) where !file.hasSuffix("vision_tower") {
                let (first, second) = ("\(out)/\(file)", "\(folder.path)/again/\(file)")
                #expect(FileManager.default.contentsEqual(atPath: first, andPath: second), "\(file)")
            }
        }

        @Test func `the quantized copy is that of the safetensors folder`() throws {
            let folder = try Folder()
            let source = try Self.makeSource(in: folder.path)
            let converted = folder.path + "/converted"
            _ = try ModelConverter(path: source).write(to: converted)
            for (path, out) in [(source, "/one"), (converted, "/two")] {
                _ = try ModelQuantizer(path: path, vision: .int8, language: .int4, threads: 2).write(
                    to: folder.path + out)
            }
            let (one, two) = (
                try CheckpointFolder(path: folder.path + "/one"), try CheckpointFolder(path: folder.path + "/two")
            )
            try one.validate()
            #expect(one.isQuantized && one.quantizedCounts == two.quantizedCounts)
            Self.expectSame(one.weights.tensors, two.weights.tensors)
            Self.expectSame(try #require(one.towerWeights).tensors, try #require(two.towerWeights).tensors)
            // A quantized folder is copied as it is.
            _ = try ModelConverter(path: folder.path + "/one").write(to: folder.path + "/three")
            let three = try CheckpointFolder(path: folder.path + "/three")
            try three.validate()
            Self.expectSame(three.weights.tensors, one.weights.tensors)
        }

        @Test("an adapter is written merged", arguments: ["lora", "llava"])
        func adapter(name: String) throws {
            let folder = try Folder()
            let source = fixtures.appending(path: "lora/\(name)").path
            _ = try ModelConverter(path: source).write(to: folder.path + "/out")
            #expect(files(in: folder.path + "/out") == ["config.json", "model.safetensors"])
            let (old, new) = (try CheckpointFolder(path: source), try CheckpointFolder(path: folder.path + "/out"))
            try new.validate()
            #expect(old.baseFolder != nil && new.baseFolder == nil)
            Self.expectSame(new.weights.tensors, old.weights.tensors)
        }

        @Test func `an adapter of a whole model loads, and is written with the base model's tower and tokenizer`()
            throws
        {
            let folder = try Folder()
            let source = folder.path + "/adapter"
            try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
            let module = "model.layers.1.mlp.up_proj"
            let base = try CheckpointFolder(path: Shared.model)
            let shape = try #require(base.weights.tensors[module + ".weight"]?.shape)
            let config: [String: Any] = [
                "peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": Shared.model,
            ]
            try JSONSerialization.data(withJSONObject: config).write(
                to: URL(filePath: source + "/adapter_config.json"))
            let writer = try SafetensorsWriter(
                path: source + "/adapter_model.safetensors",
                entries: [("lora_A", [2, shape[1]]), ("lora_B", [shape[0], 2])].map {
                    .init(name: "base_model.model.\(module).\($0.0).weight", type: .f32, shape: $0.1)
                })
            try (0..<2 * (shape[0] + shape[1])).map { Float($0 % 7 - 3) * 0.01 }.withUnsafeBytes {
                try writer.write($0)
            }
            try writer.finish()

            let adapted = try nano(source)
            #expect(try adapted.hash != nano().hash)
            #expect(adapted.name == "adapter" && adapted.tokenizer.encode("a star", parseSpecial: false).count > 0)
            _ = try ModelConverter(path: source).write(to: folder.path + "/out")
            let written = try CheckpointFolder(path: folder.path + "/out")
            try written.validate()
            Self.expectSame(written.weights.tensors, adapted.checkpoint.weights.tensors)
            #expect(files(in: folder.path + "/out") == files(in: Shared.model))
            for (name, tensor) in written.weights.tensors {
                let isSame = try #require(base.weights.tensors[name]).bytes.elementsEqual(tensor.bytes)
                #expect(isSame == (name != module + ".weight"), "\(name)")
            }
            _ = try nano(folder.path + "/out")
        }

        @Test func `faults leave nothing`() throws {
            let folder = try Folder()
            let source = try Self.makeSource(in: folder.path)
            let converter = try ModelConverter(path: source)
            func fault(_ out: String, free: Int64? = nil, stop: Bool = false) -> String? {
                code {
                    _ = try converter.write(to: out, free: free) { _, _ in if stop { throw CancellationError() } }
                }
            }
            #expect(fault(source + "/inside") == "folder_not_empty")
            #expect(fault(folder.path + "/tower") == "folder_not_empty")
            #expect(fault(folder.path + "/out", free: 1 << 20) == "not_enough_disk")
            #expect(fault(folder.path + "/out", stop: true) != nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["model", "tower"])
        }
    }
}
