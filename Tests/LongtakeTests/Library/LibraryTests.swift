import Foundation
import Glibc
import Longtake
import Store
import TestSupport
import Testing

extension LongtakeTests {
    /// A catalog that was lost or damaged is made again from the cache, and whoever opens the library hears of it.
    @Suite struct LibraryTests {
        /// Two recordings of three frames each.
        private func fill(_ folder: Folder) throws -> Library {
            let library = try folder.library()
            for name in ["one", "two"] {
                let key = IndexKey(
                    content: name, stream: 0, sampling: "1/1", preprocessing: "pad", model: "tower", record: "f16")
                let layout = try RecordLayout(parts: [RecordPart(name: "token", bytes: 8, format: "u8[8]")])
                let writer = try IndexWriter(cache: library.cache, key: key, layout: layout)
                for frame in 0..<3 {
                    let bytes = [UInt8](repeating: UInt8(frame), count: 8)
                    let entry = FrameEntry(
                        index: UInt32(frame), gridTime: Double(frame), pts: Int64(frame), ptsSeconds: Double(frame))
                    try bytes.withUnsafeBytes { try writer.append(entry, parts: [$0]) }
                }
                try writer.finish {
                    Manifest(
                        key: key, layout: layout, name: name, path: "/videos/" + name, fileSize: 1, modified: 1,
                        inode: 1, timeBase: [1, 1], contents: $0, created: "2025-01-02T03:04:05Z", modelName: "m")
                }
            }
            return library
        }

        /// The folder, and the bytes of the catalog in it.
        private func prepared() throws -> (Folder, path: String, bytes: Data, rows: [Catalog.RecordingRow]) {
            let folder = try Folder()
            do { _ = try fill(folder) }
            let path = folder.path + "/library/data/catalog.sqlite"
            try FileManager.default.removeItem(atPath: path)
            let rows = try folder.library().catalog.all()
            #expect(rows.map(\.path) == ["/videos/one", "/videos/two"])
            return (folder, path, try Data(contentsOf: URL(filePath: path)), rows)
        }

        private func clear(_ path: String) throws {
            let folder = (path as NSString).deletingLastPathComponent
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try FileManager.default.removeItem(atPath: folder + "/" + name)
            }
        }

        @Test(arguments: ["deleted", "text", "empty", "older", "row"])
        func aLostCatalogIsMadeAgain(how: String) throws {
            let (folder, path, bytes, rows) = try prepared()
            try clear(path)
            switch how {
            case "deleted": break
            case "text": try Data("no database at all, but some text".utf8).write(to: URL(filePath: path))
            case "empty": try Data().write(to: URL(filePath: path))
            case "older":
                var older = bytes
                // SQLite keeps user_version big endian at offset 60 of the file.
                older[63] = 1
                try older.write(to: URL(filePath: path))
            default:
                var changed = bytes
                let place = try #require(changed.firstRange(of: Data("complete".utf8)))
                changed[place.lowerBound] = UInt8(ascii: "k")
                try changed.write(to: URL(filePath: path))
            }
            do {
                let library = try folder.library()
                #expect(try library.catalog.all().map { [$0.path, $0.indexID] } == rows.map { [$0.path, $0.indexID] })
                #expect(try library.recordings().count == 2)
                let (isSaid, word) =
                    switch how {
                    case "deleted": (true, "no catalog")
                    case "text": (true, ".damaged-")
                    case "row": (true, "1 damaged entries")
                    default: (false, "")
                    }
                #expect(library.notes.count == (isSaid ? 1 : 0), "\(library.notes)")
                #expect(library.notes.allSatisfy { $0.contains(word) && $0.contains("2 recordings") })
            }
            #expect(try folder.library().notes.isEmpty)
        }

        /// One bit of about 250 bytes, spread evenly over the catalog; in a whole long run of every 61st byte.
        @Test func aFlippedBitStopsNothing() throws {
            let (folder, path, bytes, rows) = try prepared()
            var said = 0
            // An odd step gets to all bits, and to other bytes of each page.
            let step = LongRun.isWhole ? 61 : max(61, bytes.count / 250 | 1)
            for offset in stride(from: 0, to: bytes.count, by: step) where !(60..<64).contains(offset) {
                try clear(path)
                var bad = bytes
                bad[offset] ^= UInt8(1 << (offset % 8))
                try bad.write(to: URL(filePath: path))
                let library = try folder.library()
                try #require(try library.catalog.all() == rows, "byte \(offset)")
                try #require(try library.recordings().count == 2)
                said += library.notes.count
            }
            #expect(said > 0)
        }

        @Test func repairAndPruneOpenADamagedCatalog() throws {
            let (folder, path, bytes, rows) = try prepared()
            var bad = bytes
            for offset in 4096..<8192 { bad[offset] = 0xA5 }
            let base = folder.path + "/library"
            func maintenance() throws -> CacheMaintenance {
                try CacheMaintenance(cachePath: base + "/cache", dataPath: base + "/data")
            }
            try clear(path)
            try bad.write(to: URL(filePath: path))
            #expect(try maintenance().verify(readData: false).damage.map(\.file) == [path])
            _ = try maintenance().prune()
            let repairs = try maintenance().repair()
            #expect(repairs.recordings == 2 && repairs.notes.count == 1)
            #expect(repairs.notes[0].contains("damaged"))
            #expect(try maintenance().verify(readData: false).isClean)
            #expect(try folder.library().catalog.all() == rows)
        }

        @Test func foldersOfOthersAreRefused() throws {
            let folder = try Folder()
            _ = try folder.library()
            let data = folder.path + "/library/data"
            try #require(chmod(data, 0o777) == 0)
            #expect(code { _ = try folder.library() } == "unsafe_directory")
            try #require(chmod(data, 0o700) == 0)
            _ = try folder.library()
        }
    }
}
