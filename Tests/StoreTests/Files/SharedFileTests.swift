import Foundation
import Glibc
import Store
import Testing

/// Of several writers of one file exactly one wins, whatever their order.
@Suite struct SharedFileTests {
    private func folder() throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "longtake-shared-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func oneOfManyWins() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for round in 0..<20 {
            let target = "\(folder)/result-\(round)"
            let wins = try await withThrowingTaskGroup(of: Int.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        let temporary = "\(target).\(writer).tmp"
                        try Data("from \(writer)".utf8).write(to: URL(filePath: temporary))
                        defer { unlink(temporary) }
                        return try SharedFile.publish(temporary, as: target) { true } ? writer : -1
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }.filter { $0 >= 0 }
            }
            #expect(wins.count == 1)
            #expect(try String(contentsOfFile: target, encoding: .utf8) == "from \(wins.first ?? -1)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 20)
    }

    @Test func aDamagedResultIsReplaced() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (temporary, target) = (folder + "/new.tmp", folder + "/result")
        try Data("damaged".utf8).write(to: URL(filePath: target))
        try Data("new".utf8).write(to: URL(filePath: temporary))
        #expect(try SharedFile.publish(temporary, as: target) { false })
        #expect(try String(contentsOfFile: target, encoding: .utf8) == "new")
    }
}
