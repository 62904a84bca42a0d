import Foundation
import Testing

/// Links that lead out of a model folder (fault M07).
@Suite struct FolderPathTests {
    @Test(
        "a link that leads out of the folder is refused",
        arguments: [
            "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        ])
    func links(name: String) throws {
        try withNano { folder in
            let outside = folder + "-outside"
            try FileManager.default.moveItem(atPath: "\(folder)/\(name)", toPath: outside)
            for target in [outside, "../nano-outside"] {
                try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: target)
                expectRefusal(of: folder, says: [folder, "\"\(name)\"", "leads out of the folder", outside])
                try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            }
            // A link to a file of the folder is no way out; one that leads nowhere is a missing file.
            try FileManager.default.moveItem(atPath: outside, toPath: "\(folder)/blob")
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: "blob")
            #expect(refusal(of: folder) == nil)
        }
    }

    @Test("a snapshot's links lead to the cache's blobs and nowhere else")
    func snapshot() throws {
        try withNano { nano in
            let cache = URL(filePath: nano).deletingLastPathComponent().path + "/hub/models--a--b"
            let folder = cache + "/snapshots/0123"
            try FileManager.default.createDirectory(atPath: cache + "/snapshots", withIntermediateDirectories: true)
            try FileManager.default.createDirectory(atPath: cache + "/blobs", withIntermediateDirectories: true)
            try FileManager.default.moveItem(atPath: nano, toPath: folder)
            let path = folder + "/model.safetensors"
            try FileManager.default.moveItem(atPath: path, toPath: cache + "/blobs/abc")
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "../../blobs/abc")
            #expect(refusal(of: folder) == nil)
            try FileManager.default.moveItem(atPath: cache + "/blobs/abc", toPath: cache + "/abc")
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "../../abc")
            expectRefusal(of: folder, says: [folder, "\"model.safetensors\"", "leads out of the folder"])
        }
    }
}
