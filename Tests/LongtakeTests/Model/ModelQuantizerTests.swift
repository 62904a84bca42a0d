import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing

/// Rewrites weights of a nano model in f32.
func editWeights(_ folder: String, _ change: (String, inout [Float]) -> Void) throws {
    let path = folder + "/model.safetensors"
    let file = try SafetensorsFile(path: path)
    let entries = file.names.map {
        SafetensorsWriter.Entry(name: $0, type: .f32, shape: file.tensors[$0]?.shape ?? [])
    }
    let writer = try SafetensorsWriter(path: path + ".new", entries: entries)
    for name in file.names {
        var values = try #require(try file.tensors[name]?.floats())
        change(name, &values)
        try values.withUnsafeBytes { try writer.write($0) }
    }
    try writer.finish()
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: path + ".new", toPath: path)
}

extension LongtakeTests {
    @Suite struct ModelQuantizerTests {
        private func contents(of folder: String) throws -> [String: Data] {
            try files(in: folder).reduce(into: [:]) { found, name in
                let path = folder + "/" + name
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else {
                    return
                }
                found[name] = try Data(contentsOf: URL(filePath: path))
            }
        }

        private func quantize(
            _ source: String, to out: String, vision: WeightFormat? = .int8, language: WeightFormat? = .int8,
            threads: Int = 2, free: Int64? = nil
        ) throws -> QuantizationReport {
            try ModelQuantizer(path: source, vision: vision, language: language, threads: threads).write(
                to: out, free: free)
        }

        @Test(arguments: [WeightFormat.int8, .int4])
        func `the stored integers times their scales are the weights`(format: WeightFormat) throws {
            let folder = try Folder()
            let out = folder.path + "/out"
            let report = try quantize(Shared.model, to: out, language: format)
            let (old, new) = (try CheckpointFolder(path: Shared.model), try CheckpointFolder(path: out))
            try new.validate()
            let name = "model.layers.1.mlp.down_proj.weight"
            let weights = try #require(try old.weights.tensors[name]?.floats())
            let values = try #require(try new.weights.tensors[name]?.integers())
            let scales = try #require(try new.weights.tensors[name + "_scale"]?.floats())
            let minima = try new.weights.tensors[name + "_min"]?.floats() ?? []
            #expect(minima.isEmpty == (format == .int8) && (minima.isEmpty || minima.count == scales.count))
            let columns = 512
            var (errors, squares) = (0.0, 0.0)
            for (index, weight) in weights.enumerated() {
                let (row, column) = (index / columns, index % columns)
                let restored: Float
                var scale: Float
                switch format {
                case .int8, .int8Groups:
                    scale = scales[row * columns / 64 + column / 64]
                    restored = Float(values[index]) * scale
                case .int4:
                    scale = scales[row * columns / 32 + column / 32]
                    let pair = values[row * columns / 2 + column / 2]
                    let level = Float(column % 2 == 0 ? pair & 15 : pair >> 4)
                    restored = level * scale + minima[row * columns / 32 + column / 32]
                }
                // Half a step; int4 may clip the ends of a group.
                #expect(abs(weight - restored) <= abs(scale) * (format == .int8 ? 0.5001 : 3), "\(index)")
                errors += Double((weight - restored) * (weight - restored))
                squares += Double(weight * weight)
            }
            let row = try #require(report.matrices.first { $0.name == name })
            #expect(row.format == (format == .int8 ? .int8Groups : .int4))
            #expect(report.matrices.first { $0.name == "model.layers.1.mlp.up_proj.weight" }?.format == format)
            #expect(abs(row.relative - (errors / squares).squareRoot()) < 1e-5)
            #expect(row.relative < (format == .int8 ? 0.011 : 0.09) && row.cosine > (format == .int8 ? 0.9999 : 0.99))
        }

        @Test func `the same bytes for any number of threads and in any shards`() throws {
            let folder = try Folder()
            let sharded = folder.path + "/sharded"
            try RandomCheckpoint.write(
                .nano, type: .f32, to: sharded, seed: 1, shardLimit: 3_000_000, free: nil, progress: { _, _ in })
            for (name, threads) in [("one", 1), ("two", 2), ("seven", 7)] {
                _ = try quantize(Shared.model, to: folder.path + "/" + name, language: .int4, threads: threads)
            }
            let first = try contents(of: folder.path + "/one")
            #expect(try first == contents(of: folder.path + "/two"))
            #expect(try first == contents(of: folder.path + "/seven"))
            _ = try quantize(sharded, to: folder.path + "/shards", language: .int4)
            let (one, many) = (
                try CheckpointFolder(path: folder.path + "/one"), try CheckpointFolder(path: folder.path + "/shards")
            )
            try many.validate()
            #expect(many.notes == one.notes)
            let source = try CheckpointFolder(path: sharded)
            #expect(many.weights.files.map(\.name) == source.weights.files.map(\.name) && many.weights.files.count > 2)
            #expect(one.weights.tensors.count == many.weights.tensors.count)
            for (name, tensor) in one.weights.tensors {
                let other = try #require(many.weights.tensors[name])
                #expect(tensor.type == other.type && tensor.bytes.elementsEqual(other.bytes), "\(name)")
            }
        }

        @Test func `every other file is copied, weights in other formats are not`() throws {
            let folder = try Folder()
            let (source, out) = (folder.path + "/model", folder.path + "/out")
            try FileManager.default.copyItem(atPath: bundledModel, toPath: source)
            try FileManager.default.createDirectory(atPath: source + "/docs", withIntermediateDirectories: true)
            for name in ["README.md", "docs/card.txt", "pytorch_model.bin", ".hidden"] {
                try Data(name.utf8).write(to: URL(filePath: source + "/" + name))
            }
            _ = try quantize(source, to: out)
            let (old, new) = (try contents(of: source), try contents(of: out))
            let rewritten = [
                "config.json", "model.safetensors", "vision_tower/config.json", "vision_tower/model.safetensors",
            ]
            #expect(Set(new.keys) == Set(old.keys).subtracting(["pytorch_model.bin", ".hidden"]))
            #expect(new.filter { old[$0.key] != $0.value }.keys.sorted() == rewritten)
        }

        @Test func `a matrix with outliers stays as it is, and is named`() throws {
            let folder = try Folder()
            let (source, out) = (folder.path + "/model", folder.path + "/out")
            try FileManager.default.copyItem(atPath: Shared.model, toPath: source)
            let (spiked, infinite) = ("model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.k_proj.weight")
            try editWeights(source) { name, values in
                // One weight of each row is far larger than the others together.
                if name == spiked { for row in 0..<values.count / 192 { values[row * 192] = 1000 } }
                if name == infinite { values[5] = .infinity }
            }
            let report = try quantize(source, to: out)
            #expect(report.kept == [spiked, infinite])
            let spikedRow = try #require(report.matrices.first { $0.name == spiked })
            // The error is small beside the large weights, and large beside all others.
            #expect(spikedRow.relative < 0.03 && spikedRow.relativeToTypical > 0.9 && spikedRow.outlier > 10)
            let quantized = try CheckpointFolder(path: out)
            try quantized.validate()
            #expect(quantized.quantization?.kept == [spiked, infinite])
            #expect(quantized.weights.tensors[spiked]?.type == .f32)
            #expect(quantized.weights.tensors[spiked + "_scale"] == nil)
            // Too large for int4 alone: int8.
            let halves = try quantize(Shared.model, to: folder.path + "/int4", vision: nil, language: .int4)
            #expect(halves.matrices.allSatisfy { $0.format == .int4 })
        }

        @Test func `a tower elsewhere is copied into the folder`() throws {
            let folder = try Folder()
            let (source, tower, out) = (folder.path + "/model", folder.path + "/clip", folder.path + "/out")
            try FileManager.default.copyItem(atPath: bundledModel, toPath: source)
            try FileManager.default.moveItem(atPath: source + "/vision_tower", toPath: tower)
            let config = URL(filePath: source + "/config.json")
            var keys = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            keys["mm_vision_tower"] = tower
            try JSONSerialization.data(withJSONObject: keys).write(to: config)
            _ = try quantize(source, to: out)
            try FileManager.default.removeItem(atPath: tower)
            let checkpoint = try CheckpointFolder(path: out)
            try checkpoint.validate()
            #expect(checkpoint.towerFolder == out + "/vision_tower" && checkpoint.towerQuantization?.vision == .int8)
            #expect(checkpoint.embeddingSize == 128)
            let weights = "vision_tower/model.safetensors"
            _ = try quantize(bundledModel, to: folder.path + "/inside")
            #expect(
                try contents(of: out)[weights] == contents(of: folder.path + "/inside")[weights])
        }

        @Test func `a tower inside the checkpoint is quantized there`() throws {
            let folder = try Folder()
            let name = "case12b_tower_in_checkpoint_used"
            let report = try quantize("\(golden)/\(name)", to: folder.path + "/out")
            #expect(report.matrices.contains { $0.name.hasPrefix("model.vision_tower.vision_tower.") })
            let checkpoint = try CheckpointFolder(path: folder.path + "/out")
            try checkpoint.validate()
            #expect(checkpoint.towerSource == .insideCheckpoint)
        }

        @Test func `what cannot be written is refused, and nothing is left`() throws {
            let folder = try Folder()
            let out = folder.path + "/out"
            _ = try quantize(Shared.model, to: out)
            #expect(code { _ = try quantize(Shared.model, to: out) } == "folder_not_empty")
            #expect(code { _ = try quantize(out, to: folder.path + "/again") } == "unsupported")
            #expect(
                code { _ = try quantize(Shared.model, to: folder.path + "/a", vision: nil, language: nil) }
                    == "bad_request")
            #expect(
                code { _ = try quantize(Shared.model, to: folder.path + "/b", free: 1_000_000) } == "not_enough_disk")
            #expect(code { _ = try quantize(Shared.model, to: "/proc/none") } == "write_failed")
            #expect(code { _ = try quantize(folder.path + "/nosuch", to: folder.path + "/c") } == "folder_missing")
            let source = folder.path + "/source"
            try FileManager.default.copyItem(atPath: Shared.model, toPath: source)
            #expect(code { _ = try quantize(source, to: source + "/new/copy") } == "folder_not_empty")
            // Interrupted at every tenth of the work.
            struct Interrupted: Error {}
            for step in 0..<10 {
                #expect(throws: Interrupted.self) {
                    let quantizer = try ModelQuantizer(path: source, vision: .int8, language: .int8, threads: 2)
                    _ = try quantizer.write(to: folder.path + "/d") { done, total in
                        if done * 10 >= total * Int64(step) { throw Interrupted() }
                    }
                }
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(left == ["out", "source"])
        }
    }
}
