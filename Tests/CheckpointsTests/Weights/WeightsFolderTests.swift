import Checkpoints
import Foundation
import Testing

/// Shards that do not fit their index (faults M01 and M07).
@Suite struct WeightsFolderTests {
    @Test("a shard that is cut or too long is refused with both sizes")
    func shardSizes() throws {
        try withNano(shardLimit: 1_000_000) { folder in
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder).sorted().first {
                    $0.hasPrefix("model-00002")
                })
            let path = "\(folder)/\(name)"
            let whole = try Data(contentsOf: URL(filePath: path))
            for cut in [whole.count - 1, whole.count / 2, 100, 9, 8, 7, 1, 0] {
                try whole.prefix(cut).write(to: URL(filePath: path))
                expectRefusal(of: folder, says: [path, cut == 1 ? "is 1 byte," : "is \(cut) bytes", "fetch it again"])
            }
            for extra in [1, 4096] {
                try (whole + Data(count: extra)).write(to: URL(filePath: path))
                expectRefusal(
                    of: folder, says: [path, "is \(whole.count + extra) bytes", "header says \(whole.count)"])
            }
            try FileManager.default.removeItem(atPath: path)
            expectRefusal(of: folder, says: [folder, "1 of its shards are missing", name])
            try whole.write(to: URL(filePath: path))
            #expect(refusal(of: folder) == nil)

            // Index and shards of different versions.
            let index = folder + "/model.safetensors.index.json"
            let text = try String(contentsOfFile: index, encoding: .utf8)
            try Data(text.replacing("\"total_size\": ", with: "\"total_size\": 9").utf8).write(to: URL(filePath: index))
            // Some writers count otherwise: the shards' own headers are what is checked.
            #expect(refusal(of: folder) == nil)
            #expect(try CheckpointFolder(path: folder).notes.contains { $0.contains("says the tensors are 9") })
            try Data(text.replacing("00002-of", with: "00001-of").utf8).write(to: URL(filePath: index))
            expectRefusal(of: folder, says: [index, "says tensor", "00001-of", "does not have it"])
        }
    }

    @Test(
        "a shard name that leads out of the folder is refused",
        arguments: [
            ("../outside.safetensors", "leads out"), ("a/../../outside.safetensors", "leads out"),
            ("/etc/outside.safetensors", "absolute"), ("", "not a .safetensors"), ("config.json", "not a .safetensors"),
            ("a\\u0000.safetensors", "NUL"), (String(repeating: "a", count: 1100) + ".safetensors", "1024"),
        ])
    func shardNames(name: String, says: String) throws {
        try withNano(shardLimit: 1_000_000) { folder in
            let index = folder + "/model.safetensors.index.json"
            let text = try String(contentsOfFile: index, encoding: .utf8)
            let outside = URL(filePath: folder).deletingLastPathComponent().appending(path: "outside.safetensors")
            try FileManager.default.copyItem(
                at: URL(filePath: folder + "/vision_tower/model.safetensors"), to: outside)
            let range = try #require(text.range(of: #"model-00001-of-[0-9]+.safetensors"#, options: .regularExpression))
            let changed = text.replacingCharacters(in: range, with: name)
            try Data(changed.utf8).write(to: URL(filePath: index))
            expectRefusal(of: folder, says: [folder, "refuses the file name", says])
        }
    }
}
