import Foundation
import Longtake
import Testing

@Suite struct ClusterRunTests {
    /// The folder of a run with one shard of no units.
    private func folder() throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "longtake-run-\(UUID().uuidString)").path
        for name in ["published", "failed", "attempts"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        }
        let plan = """
            {"format": 1, "id": "cluster_0", "program": "test", "created": "2026-01-01T00:00:00Z", "settings": "s",
             "pipeline": {"path": "/p.yaml", "text": "version: 1", "environment": {}}, "recordings": 0,
             "model": {"path": "/m", "name": "m", "hash": "h"},
             "shards": [{"kind": "index", "units": 0, "cost": 0, "offset": 0, "bytes": 0,
              "checksum": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}
            """
        try Data(plan.utf8).write(to: URL(filePath: path + "/run.json"))
        try Data().write(to: URL(filePath: path + "/units.jsonl"))
        return path
    }

    private func failure(_ body: () throws -> Void) throws -> Failure {
        do { try body() } catch { return Failure(error) }
        throw CancellationError()
    }

    @Test func clocksMayBeLittleApart() throws {
        let path = try folder()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let run = try ClusterRun(path: path, program: "test")
        #expect(try run.units(ofShard: 0).isEmpty)
        try run.checkClock()
        for offset in [-3600.0, -90, 90, 86_400] {
            let refused = try failure { try run.checkClock { Date().timeIntervalSince1970 + offset } }
            #expect(refused.code == "clocks_apart" && refused.exitCode == 75)
            #expect(refused.message.contains(offset > 0 ? "ahead of" : "behind"), "\(refused.message)")
        }
        for offset in [-30.0, 30] { try run.checkClock { Date().timeIntervalSince1970 + offset } }
        let left = try FileManager.default.contentsOfDirectory(atPath: path + "/attempts")
        #expect(left.isEmpty)
    }

    @Test func aGoneOrChangedFolderIsNamed() throws {
        let path = try folder()
        let run = try ClusterRun(path: path, program: "test")
        #expect(try failure { _ = try run.units(ofShard: 1) }.exitCode == 64)
        #expect(try failure { _ = try ClusterRun(path: path, program: "other") }.code == "cluster_version")
        try FileManager.default.removeItem(atPath: path)
        let gone = try failure { _ = try run.units(ofShard: 0) }
        #expect(gone.code == "storage" && gone.exitCode == 75 && gone.message.contains(path), "\(gone.message)")
        #expect(try failure { try run.checkClock() }.exitCode == 75)
        #expect(try failure { _ = try ClusterRun(path: path, program: "test") }.exitCode == 10)
    }
}
