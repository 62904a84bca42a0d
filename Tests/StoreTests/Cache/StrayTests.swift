import Foundation
import Glibc
import Testing

import Store

/// What is not a regular file where one should be: found without waiting, never followed, healed.
@Suite struct StrayTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case pipe, link, folder, socket, device
        var testDescription: String { rawValue }

        /// Puts it in place of the file at `path`; a link leads to `target`.
        func replace(_ path: String, target: String) throws {
            try? FileManager.default.removeItem(atPath: path)
            switch self {
            case .pipe: try #require(mkfifo(path, 0o600) == 0)
            case .link: try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
            case .folder:
                try FileManager.default.createDirectory(atPath: path + "/inside", withIntermediateDirectories: true)
                try Data("x".utf8).write(to: URL(filePath: path + "/inside/file"))
            case .socket: try #require(mknod(path, S_IFSOCK | 0o600, 0) == 0)
            // Root only; others have the link of that name.
            case .device:
                if mknod(path, S_IFCHR | 0o600, 0x105) != 0 {
                    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/zero")
                }
            }
        }
    }

    /// A folder beside the cache that a link leads to: nothing in it may change.
    private func target(_ directory: TemporaryDirectory) throws -> String {
        let path = directory.path + "/outside"
        try Data("outside".utf8).write(to: URL(filePath: path))
        return path
    }

    @Test(arguments: Kind.allCases, ["000001.seg", "000001.pat", "manifest.json", ".lock", ".readers", ".asked"])
    func `a file of an index`(kind: Kind, name: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        cache.touchAsked(indexID: Sample.key().id)
        let path = cache.indexPath(Sample.key())
        let good = try files(path).filter { !$0.key.hasPrefix(".") }
        let outside = try target(directory)
        try kind.replace(path + "/" + name, target: outside)

        let damage = try cache.check(readData: false).damage
        #expect(damage.map(\.file) == [path + "/" + name], "\(damage)")
        #expect(damage.allSatisfy { $0.reason.contains("not a regular file") && !$0.isUnreadable })
        // The readers' lock is made again by whoever takes it, the check among them.
        #expect(try cache.repair().count == (name == ".readers" ? 0 : 1))
        #expect(try cache.check(readData: true).damage.isEmpty)
        #expect(try cache.repair().isEmpty)
        #expect(try contents(outside) == Array("outside".utf8))
        try Sample.write(10, to: cache)
        #expect(try files(path).filter { !$0.key.hasPrefix(".") } == good)
    }

    @Test(arguments: Kind.allCases, ["000000.seg", "000001.pat", ".lock", ".readers", ".asked"])
    func `the next run heals what it meets`(kind: Kind, name: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        let path = cache.indexPath(Sample.key())
        let good = try files(path).filter { !$0.key.hasPrefix(".") }
        let outside = try target(directory)
        try kind.replace(path + "/" + name, target: outside)
        cache.touchAsked(indexID: Sample.key().id)
        try Sample.write(10, to: cache)
        #expect(try files(path).filter { !$0.key.hasPrefix(".") } == good)
        #expect(try contents(outside) == Array("outside".utf8))
        #expect(try cache.check(readData: true).damage.isEmpty)
    }

    @Test(arguments: Kind.allCases, ["CACHEDIR.TAG", "limits.json", ".budget", "derived/a/b"])
    func `a file beside the indexes`(kind: Kind, name: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        _ = try cache.limit()
        _ = try cache.removeLeftovers(unfinished: false)
        try FileManager.default.createDirectory(
            atPath: cache.derivedPath + "/a", withIntermediateDirectories: true)
        let outside = try target(directory)
        try kind.replace(cache.path + "/" + name, target: outside)
        // A folder in `derived/` may be anything's.
        if kind != .folder || !name.hasPrefix("derived") {
            #expect(try cache.check(readData: false).damage.map(\.file) == [cache.path + "/" + name])
        }
        _ = try cache.repair()
        #expect(try cache.check(readData: true).damage.isEmpty)
        _ = try CacheDirectory(path: cache.path).limit()
        _ = try cache.removeLeftovers(unfinished: false)
        #expect(try contents(outside) == Array("outside".utf8))
        #expect(DerivedFile(path: cache.path + "/" + name, identity: []) == nil)
    }

    @Test(arguments: [Kind.pipe, .link, .socket, .device])
    func `something in place of an index's folder`(kind: Kind) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        let path = cache.indexPath(Sample.key())
        let outside = directory.path + "/outside"
        try FileManager.default.moveItem(atPath: path, toPath: outside)
        try FileManager.default.removeItem(atPath: outside + "/.lock")
        let before = try files(outside)
        try kind.replace(path, target: outside)
        #expect(try cache.check(readData: false).damage.map(\.file) == [path])
        #expect(try cache.repair().map(\.action) == [.removed])
        #expect(try cache.check(readData: true).damage.isEmpty)
        try kind.replace(path, target: outside)
        try Sample.write(10, to: cache)
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 10)
        #expect(try files(outside) == before)
    }

    @Test(arguments: Kind.allCases, ["", "-wal", "-shm"])
    func `a file of the catalog`(kind: Kind, suffix: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/catalog.sqlite"
        let row = Catalog.RecordingRow(
            path: "/a.mp4", size: 1, modified: 2, inode: 3, content: "abc", indexID: "x", added: "now",
            state: "complete")
        do { try Catalog(path: path).upsert(row) }
        let outside = try target(directory)
        try kind.replace(path + suffix, target: outside)
        #expect(Catalog.damage(path: path)?.contains("not a regular file") == true)
        let catalog = try Catalog(path: path)
        #expect(catalog.aside != nil)
        // Beside a catalog that is whole nothing is lost.
        #expect(try catalog.all() == (suffix.isEmpty ? [] : [row]))
        try catalog.upsert(row)
        #expect(Catalog.damage(path: path) == nil)
        #expect(try contents(outside) == Array("outside".utf8))
    }
}
