import Foundation
import Testing

import Store

@Suite struct CatalogTests {
    private func row(_ path: String, index: String = "i1", size: Int64 = 10, added: String = "2025")
        -> Catalog
        .RecordingRow
    {
        Catalog.RecordingRow(
            path: path, size: size, modified: 5, inode: UInt64.max - 1, content: String(repeating: "ab", count: 32),
            indexID: index, added: added, state: "complete")
    }

    /// Runs lines of Python on the database `c`, outside of this program; `arguments` are `sys.argv[2:]`.
    private func change(_ path: String, _ arguments: String..., by lines: String) throws {
        let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\(lines)\nc.commit()\nc.close()\n"
        let made = Process()
        made.executableURL = URL(filePath: "/usr/bin/env")
        made.arguments = ["python3", "-c", script, path] + arguments
        try made.run()
        made.waitUntilExit()
        try #require(made.terminationStatus == 0)
    }

    @Test func keepsFindsReplacesAndRemoves() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        let catalog = try Catalog(path: path)
        #expect(row("/a").id == "vid_abababababababab")
        try catalog.upsert(row("/b"))
        try catalog.upsert(row("/a"))
        var changed = row("/a", size: 11)
        changed.error = "late"
        changed.pathBase64 = nil
        try catalog.upsert(changed)
        try catalog.upsert(row("/a", index: "i2", size: 11, added: "2026"))
        #expect(try catalog.all() == [changed, row("/a", index: "i2", size: 11, added: "2026"), row("/b")])
        #expect(try catalog.rows(path: Array("/a".utf8)).map(\.indexID) == ["i2", "i1"])
        #expect(try catalog.rows(path: Array("/c".utf8)).isEmpty)
        // Another handle on the same file sees it.
        let second = try Catalog(path: path)
        try second.remove(indexID: "i1")
        #expect(try catalog.all().map(\.indexID) == ["i2"])
    }

    @Test func rebuildsFromManifests() throws {
        let directory = try TemporaryDirectory()
        let catalog = try Catalog(path: directory.path + "/catalog.sqlite")
        try catalog.upsert(row("/gone"))
        try catalog.rebuild(from: [
            try Sample.manifest(0, key: Sample.key("0123456789abcdef0123")),
            try Sample.manifest(0, key: Sample.key("x"), state: "partial", name: "b.mp4"),
        ])
        let rows = try catalog.all()
        #expect(rows.map(\.path) == ["/videos/b.mp4", "/videos/talk.mp4"])
        #expect(rows[1].id == "vid_0123456789abcdef" && rows[1].inode == UInt64.max - 3)
        #expect(rows[0].state == "partial" && rows[0].indexID == Sample.key("x").id)
    }

    @Test(arguments: ["text", "page", "schema"])
    func aDamagedFileIsPutAside(kind: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        do {
            let catalog = try Catalog(path: path)
            for number in 0..<200 { try catalog.upsert(row("/video/\(number)")) }
        }
        var bytes = try contents(path)
        switch kind {
        case "text": bytes = Array("this is no database, but long enough to be looked at".utf8)
        case "page": for offset in 4096..<min(bytes.count, 4096 * 4) { bytes[offset] = 0xA5 }
        default: for offset in 100..<4096 { bytes[offset] = 0x5A }
        }
        try overwrite(path, bytes)
        let catalog = try Catalog(path: path)
        #expect(try catalog.all().isEmpty)
        try catalog.upsert(row("/new"))
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        let aside = names.filter { $0.hasPrefix("catalog.sqlite.damaged-") && !$0.hasSuffix("-wal") }
        #expect(aside.count >= 1)
        #expect(try contents(directory.path + "/" + (try #require(aside.min()))) == bytes)
        #expect(try Catalog(path: path).all().count == 1)
    }

    @Test func aNewerCatalogIsLeftAlone() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        do { _ = try Catalog(path: path) }
        var bytes = try contents(path)
        // SQLite keeps user_version big endian at offset 60 of the file.
        bytes[63] = 6
        try overwrite(path, bytes)
        let message = expectCode(.newerFormat) { _ = try Catalog(path: path) }
        #expect(message.contains("version 6") && message.contains("version 5"))
        #expect(try contents(path) == bytes)
    }

    @Test func anUnreachableFileIsAnError() throws {
        let directory = try TemporaryDirectory()
        expectCode(.io) { _ = try Catalog(path: directory.path + "/none/catalog.sqlite") }
    }

    @Test func jobsAndAnswersAreKept() throws {
        let directory = try TemporaryDirectory()
        let catalog = try Catalog(path: directory.path + "/catalog.sqlite")
        var job = Catalog.JobRow(id: "j1", kind: "index", path: "/a", state: "running", started: "2025-01-01T00:00:00Z")
        try catalog.record(job: job)
        job.state = "failed"
        job.ended = "2025-01-01T00:01:00Z"
        job.error = "no space"
        try catalog.record(job: job)
        let later = Catalog.JobRow(id: "j0", kind: "ask", path: "/b", state: "done", started: "2025-01-02T00:00:00Z")
        try catalog.record(job: later)
        #expect(try catalog.jobs() == [later, job])
        #expect(try catalog.jobs(limit: 1) == [later])
        let answers = (0..<3).map {
            Catalog.AnswerRow(
                id: "a\($0)", indexID: $0 == 2 ? "other" : "i", created: "2025-01-0\(3 - $0)", question: "Who?",
                answer: "a man", found: $0 != 1, evidence: #"[{"frame":7}]"#, model: "nano")
        }
        for answer in answers { try catalog.record(answer: answer) }
        #expect(try catalog.answers(indexID: "i") == [answers[1], answers[0]])
        // The recordings are rebuilt, answers are not touched.
        try catalog.rebuild(from: [])
        #expect(try catalog.answers(indexID: "other") == [answers[2]])
    }

    @Test func whatIsCoveredIsKeptAlsoInACatalogOfTheFourthVersion() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        func answer(_ key: String) -> Catalog.RunAnswerRow {
            Catalog.RunAnswerRow(
                pipeline: "p", key: key, run: "r", indexID: "i", questionID: "q", line: "{}", output: nil)
        }
        try Catalog(path: path).record(answers: [answer("a")])
        try change(
            path,
            by: """
                c.execute("DROP TABLE run_coverage")
                c.execute("PRAGMA user_version = 4")
                """)
        let catalog = try Catalog(path: path)
        #expect(catalog.aside == nil)
        var row = Catalog.CoverageRow(
            pipeline: "p", question: "q", path: "/a", indexID: "i", content: "c", size: 7, end: 0.1 + 0.2)
        try catalog.record(answers: [answer("b")], coverage: [row])
        #expect(try catalog.coverage(pipeline: "p", path: "/a", indexID: "") == [row], "not rounded")
        #expect(try catalog.coverage(pipeline: "p", path: "", indexID: "i") == [row])
        #expect(try catalog.coverage(pipeline: "o", path: "/a", indexID: "i").isEmpty)
        row.end = 9
        try catalog.record(answers: [answer("c")], coverage: [row])
        #expect(try catalog.coverage(pipeline: "p", path: "/a", indexID: "i") == [row])
        #expect(try catalog.answerKeys(pipeline: "p") == ["a", "b", "c"])
    }

    /// The catalog of a program before this one: recordings alone, without checksums.
    @Test func theFirstVersionIsBroughtUpToDate() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        try change(
            path,
            by: """
                c.execute("CREATE TABLE recording (path TEXT NOT NULL, pathBase64 TEXT, size INTEGER NOT NULL, "
                    "modified INTEGER NOT NULL, inode INTEGER NOT NULL, content TEXT NOT NULL, indexID TEXT NOT NULL, "
                    "id TEXT NOT NULL, added TEXT NOT NULL, state TEXT NOT NULL, error TEXT)")
                c.execute("INSERT INTO recording VALUES ('/a', NULL, 1, 2, 3, 'c', 'i', 'v', 't', 'complete', NULL)")
                c.execute("PRAGMA user_version = 1")
                """)
        let catalog = try Catalog(path: path)
        // They name indexes that no program of this version finds.
        #expect(try catalog.all().isEmpty)
        try catalog.upsert(row("/b"))
        #expect(try Catalog(path: path).all() == [row("/b")])
        #expect(try catalog.jobs().isEmpty)
    }

    @Test func rowsOfTheSecondVersionStayWithoutAChangeTime() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        var wanted = row("/a")
        wanted.changed = 7
        wanted.checked = 8
        do {
            let catalog = try Catalog(path: path)
            try catalog.upsert(wanted)
            try catalog.upsert(row("/b", index: "i2"))
        }
        try change(
            path, wanted.checksumOfVersion2, "damaged",
            by: """
                old = ("path", "pathBase64", "size", "modified", "inode", "content", "indexID", "id", "added", "state", "error")
                rows = c.execute("SELECT %s FROM recording" % ", ".join(old)).fetchall()
                c.execute("DROP TABLE recording")
                c.execute("CREATE TABLE recording (path TEXT NOT NULL, pathBase64 TEXT, size INTEGER NOT NULL, "
                    "modified INTEGER NOT NULL, inode INTEGER NOT NULL, content TEXT NOT NULL, indexID TEXT NOT NULL, "
                    "id TEXT NOT NULL, added TEXT NOT NULL, state TEXT NOT NULL, error TEXT, checksum TEXT NOT NULL)")
                c.execute("CREATE UNIQUE INDEX recording_key ON recording (path, ifnull(pathBase64, ''), indexID)")
                c.execute("CREATE INDEX recording_index ON recording (indexID)")
                for row, checksum in zip(rows, sys.argv[2:]):
                    c.execute("INSERT INTO recording VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row + (checksum,))
                c.execute("PRAGMA user_version = 2")
                """)
        let catalog = try Catalog(path: path)
        let rows = try catalog.all()
        #expect(rows == [row("/a")], "the change time is not known, and a damaged row stays so")
        #expect(try catalog.changedRows() == 1)
        try catalog.upsert(wanted)
        #expect(try Catalog(path: path).all() == [wanted])
    }

    @Test func everyFlippedByteIsDetectedOrHarmless() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/catalog.sqlite"
        let wanted = (0..<4).map { row("/video/\($0)") }
        do {
            let catalog = try Catalog(path: path)
            for row in wanted { try catalog.upsert(row) }
        }
        let good = try contents(path)
        var (lost, refused) = (0, 0)
        // Every byte of the pages with content, and every 61st of the rest.
        for offset in good.indices where good[offset] != 0 || offset % 61 == 0 {
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
                try FileManager.default.removeItem(atPath: directory.path + "/" + name)
            }
            var bad = good
            bad[offset] ^= UInt8(1 << (offset % 8))
            try overwrite(path, bad)
            do {
                let rows = try Catalog(path: path).all()
                try #require(rows.allSatisfy { wanted.contains($0) }, "a wrong row after byte \(offset)")
                lost += rows.count < wanted.count ? 1 : 0
            } catch let error as StoreError {
                try #require([.damaged, .newerFormat, .io].contains(error.code), "byte \(offset): \(error)")
                refused += 1
            }
        }
        #expect(lost > 0)
        print("catalog: \(lost) flips lost rows, \(refused) were refused")
    }
}
