import Foundation
import TestSupport
import Testing

import Store

/// A catalog in which a bit has changed: what is read of it is what was written, or it is put aside.
@Suite struct CatalogDamageTests {
    private static let rows = (0..<3).map { row("/video/\($0)", index: "index\($0)") }
    private static let jobs = (0..<2).map {
        Catalog.JobRow(id: "j\($0)", kind: "index", path: "/video/\($0)", state: "done", started: "2025-01-0\($0 + 1)")
    }
    private static let answers = (0..<3).map {
        Catalog.AnswerRow(
            id: "a\($0)", indexID: "index\($0 % 2)", created: "2025-01-0\($0 + 1)", question: "Who is it?",
            answer: "A man.",
            found: $0 != 1, evidence: #"[{"frame":7}]"#, model: "nano")
    }

    private static func row(_ path: String, index: String) -> Catalog.RecordingRow {
        Catalog.RecordingRow(
            path: path, size: 10, modified: 5, inode: 77, content: String(repeating: "ab", count: 32), indexID: index,
            added: "2025", state: "complete")
    }

    /// A catalog with pages of 512 bytes, so that there are few bytes to flip.
    private func catalog(_ path: String) throws -> Catalog {
        let made = Process()
        made.executableURL = URL(filePath: "/usr/bin/env")
        let text = """
            import sqlite3, sys
            c = sqlite3.connect(sys.argv[1])
            c.execute("PRAGMA page_size = 512")
            c.execute("CREATE TABLE x (y)")
            c.execute("DROP TABLE x")
            c.execute("VACUUM")
            c.close()
            """
        made.arguments = ["python3", "-c", text, path]
        try made.run()
        made.waitUntilExit()
        try #require(made.terminationStatus == 0)
        let catalog = try Catalog(path: path)
        for row in Self.rows { try catalog.upsert(row) }
        for job in Self.jobs { try catalog.record(job: job) }
        for answer in Self.answers { try catalog.record(answer: answer) }
        return catalog
    }

    /// Only what was written is read, what is missing is known to be, and it can be written to.
    private func judge(_ path: String, _ what: String, mayLose: Bool = false) throws -> (lost: Bool, aside: Bool) {
        let catalog = try Catalog(path: path)
        let rows = try catalog.all()
        try #require(rows.allSatisfy { Self.rows.contains($0) }, "\(what): a wrong row")
        _ = try catalog.jobs()
        for index in ["index0", "index1"] {
            try #require(try catalog.answers(indexID: index).allSatisfy { Self.answers.contains($0) }, "\(what)")
        }
        let isLost = rows.count < Self.rows.count
        if isLost, !rows.isEmpty, !mayLose {
            try #require(try catalog.aside != nil || catalog.changedRows() > 0, "\(what): \(rows.count) rows, unseen")
        }
        let found = try catalog.rows(path: Array("/video/1".utf8)).first
        try #require(found.map { Self.rows.contains($0) } ?? true, "\(what)")
        try catalog.upsert(Self.row("/video/1", index: "index1"))
        try catalog.remove(indexID: "index2")
        try catalog.record(answer: Self.answers[0])
        try catalog.rebuild(from: [])
        try #require(try catalog.all().isEmpty, "\(what)")
        return (isLost, catalog.aside != nil)
    }

    private func clear(_ folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            try FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    /// All bits of the header, and of the rest one bit in every third byte; in `make test-long` all bits of all.
    @Test func everyFlippedByteIsSurvived() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/catalog.sqlite"
        do { _ = try catalog(path) }
        #expect(!Posix.exists(path + "-wal"))
        let good = try contents(path)
        let all = LongRun.isWhole
        var (runs, lost, aside, newer) = (0, 0, 0, 0)
        var troubles: [String] = []
        for offset in good.indices where all || offset < 100 || offset % 3 == 0 {
            for bit in all || offset < 100 ? Array(0..<8) : [offset / 3 % 8] {
                try clear(directory.path)
                var bad = good
                bad[offset] ^= UInt8(1 << bit)
                try overwrite(path, bad)
                runs += 1
                do {
                    let result = try judge(path, "byte \(offset), bit \(bit)")
                    lost += result.lost ? 1 : 0
                    aside += result.aside ? 1 : 0
                } catch let error as StoreError {
                    // The version's own four bytes: a newer program's catalog is left alone.
                    if error.code == .newerFormat, (60..<64).contains(offset) {
                        newer += 1
                    } else {
                        troubles.append("byte \(offset), bit \(bit): \(error)")
                    }
                }
            }
        }
        #expect(troubles.isEmpty, "\(troubles.count): \(troubles.prefix(20).joined(separator: "; "))")
        #expect(lost > 0 && aside > 0 && newer > 0)
        print("catalog: \(runs) flips, \(lost) lost rows, \(aside) put aside, \(newer) newer versions")
    }

    @Test func flipsInTheLogAreSurvived() throws {
        let (directory, copies) = (try TemporaryDirectory(inMemory: true), try TemporaryDirectory(inMemory: true))
        let path = directory.path + "/catalog.sqlite"
        let open = try catalog(path)
        let (file, log) = (try contents(path), try contents(path + "-wal"))
        #expect(log.count > 1000)
        withExtendedLifetime(open) {}
        let copy = copies.path + "/catalog.sqlite"
        func judged(_ log: [UInt8], _ what: String) throws -> Bool {
            try clear(copies.path)
            try overwrite(copy, file)
            try overwrite(copy + "-wal", log)
            // SQLite reads a log up to its first damaged transaction: what came later is lost.
            return try judge(copy, what, mayLose: true).lost
        }
        #expect(try !judged(log, "nothing"))
        var lost = 0
        for offset in Array(0..<32) + Array(stride(from: 32, to: log.count, by: 17)) {
            var bad = log
            bad[offset] ^= UInt8(1 << (offset % 8))
            lost += try judged(bad, "byte \(offset) of the log") ? 1 : 0
        }
        for length in stride(from: 0, to: log.count, by: 307) {
            lost += try judged(Array(log.prefix(length)), "\(length) bytes of the log") ? 1 : 0
        }
        #expect(lost > 0)
    }

    /// Several processes meet the same damage: one of them puts the file aside, once.
    @Test func itIsPutAsideOnce() async throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/catalog.sqlite"
        for _ in 0..<20 {
            try clear(directory.path)
            try overwrite(path, Array("this is no database, but long enough to be looked at".utf8))
            let asides = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        let catalog = try Catalog(path: path)
                        try catalog.upsert(Self.row("/of/\(number)", index: "i"))
                        return catalog.aside
                    }
                }
                return try await group.reduce(into: [String]()) { if let aside = $1 { $0.append(aside) } }
            }
            #expect(asides.count == 1)
            #expect(try Catalog(path: path).all().count == 4)
        }
    }

    /// An index that does not lead to a row any more is found when the catalog is opened, not when the row is replaced.
    @Test func changedRowsAreCounted() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/catalog.sqlite"
        do { _ = try catalog(path) }
        var bytes = try contents(path)
        // The state is in no index: only the row's own checksum tells.
        let place = try #require(bytes.firstRange(of: Array("complete".utf8)))
        bytes[place.lowerBound] = UInt8(ascii: "k")
        try overwrite(path, bytes)
        let catalog = try Catalog(path: path)
        #expect(catalog.aside == nil && !catalog.isNew)
        #expect(try catalog.changedRows() == 1)
        #expect(try catalog.all().count == 2)
        #expect(try catalog.jobs().count == 2)
    }
}
