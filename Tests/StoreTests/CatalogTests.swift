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
        let inode = UInt64.max - 1
        #expect(try catalog.find(path: "/a", size: 11, modified: 5, inode: inode)?.indexID == "i2")
        #expect(try catalog.find(path: "/a", size: 10, modified: 5, inode: inode) == nil)
        #expect(try catalog.find(path: "/a", size: 11, modified: 6, inode: inode) == nil)
        #expect(try catalog.find(path: "/a", size: 11, modified: 5, inode: 3) == nil)
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
            try Sample.manifest(0, [], key: Sample.key("0123456789abcdef0123")),
            try Sample.manifest(0, [], key: Sample.key("x"), state: "partial", name: "b.mp4"),
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

    @Test func aNewerCatalogueIsLeftAlone() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.sqlite"
        do { _ = try Catalog(path: path) }
        var bytes = try contents(path)
        // SQLite keeps user_version big endian at offset 60 of the file.
        bytes[63] = 2
        try overwrite(path, bytes)
        let message = expectCode(.newerFormat) { _ = try Catalog(path: path) }
        #expect(message.contains("version 2") && message.contains("version 1"))
        #expect(try contents(path) == bytes)
    }

    @Test func anUnreachableFileIsAnError() throws {
        let directory = try TemporaryDirectory()
        expectCode(.io) { _ = try Catalog(path: directory.path + "/none/catalog.sqlite") }
    }
}
