import Foundation
import Glibc
import Testing

import Store

@Suite struct CacheDirectoryTests {
    private func mode(_ path: String) throws -> UInt32 {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return UInt32(status.st_mode & 0o7777)
    }

    @Test func makesAPrivateTaggedDirectory() throws {
        let directory = try TemporaryDirectory()
        let cache = try CacheDirectory(path: directory.path + "/a/b/cache/")
        #expect(cache.path == directory.path + "/a/b/cache")
        #expect(try mode(cache.path) == 0o700)
        let tag = String(decoding: try contents(cache.path + "/CACHEDIR.TAG"), as: UTF8.self)
        #expect(tag.hasPrefix("Signature: 8a477f597d28d172789f06886806bc55\n"))
        _ = try CacheDirectory(path: cache.path)
        try Sample.write(1, to: cache)
        #expect(try mode(cache.indexPath(Sample.key()) + "/000000.seg") == 0o600)
    }

    @Test(arguments: [0o777, 0o770, 0o702] as [mode_t])
    func refusesADirectoryOthersCanWrite(mode: mode_t) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/open"
        try #require(mkdir(path, 0o700) == 0 && chmod(path, mode) == 0)
        let message = expectCode(.unsafeDirectory) { _ = try CacheDirectory(path: path) }
        #expect(message.contains(String(mode, radix: 8)))
        try overwrite(directory.path + "/file", [1])
        expectCode(.unsafeDirectory) { _ = try CacheDirectory(path: directory.path + "/file") }
    }

    @Test(arguments: ["indexes", "derived", "trash"])
    func refusesFoldersInItThatOthersCanWrite(name: String) throws {
        let directory = try TemporaryDirectory()
        let path = try directory.cache().path
        try #require(chmod(path + "/" + name, 0o720) == 0)
        let message = expectCode(.unsafeDirectory) { _ = try CacheDirectory(path: path) }
        #expect(message.contains(path + "/" + name) && message.contains("chmod"))
        try #require(chmod(path + "/" + name, 0o700) == 0)
        _ = try CacheDirectory(path: path)
    }

    @Test func linksAreFollowedToFoldersOfOurOwn() throws {
        let directory = try TemporaryDirectory()
        let (own, open) = (directory.path + "/own", directory.path + "/open")
        try #require(mkdir(own, 0o700) == 0 && mkdir(open, 0o700) == 0 && chmod(open, 0o777) == 0)
        for (name, target) in [("a", own), ("b", open), ("c", directory.path + "/nowhere"), ("d", "d")] {
            try #require(symlink(target, directory.path + "/" + name) == 0)
        }
        let cache = try directory.cache("a")
        try Sample.write(5, to: cache)
        #expect(Posix.exists(own + "/indexes"))
        expectCode(.unsafeDirectory) { _ = try directory.cache("b") }
        expectCode(.unsafeDirectory) { _ = try directory.cache("c") }
        expectCode(.unsafeDirectory) { _ = try directory.cache("d") }
        #expect(!Posix.exists(directory.path + "/nowhere"))
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give folders away"))
    func refusesWhatBelongsToAnother() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.cache().path
        for folder in [path, path + "/indexes"] {
            try #require(chown(folder, 12_345, 12_345) == 0)
            let message = expectCode(.unsafeDirectory) { _ = try CacheDirectory(path: path) }
            #expect(message.contains(folder + " ") && message.contains("12345"))
            try #require(chown(folder, 0, 0) == 0)
        }
        _ = try CacheDirectory(path: path)
    }

    @Test func listsSortedSkipsDamagedAndRemoves() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        for (content, name) in [("1", "c.mp4"), ("2", "a.mp4"), ("3", "b.mp4")] {
            let key = Sample.key(content)
            let manifest = try Sample.manifest(0, key: key, name: name)
            try Sample.writer(cache, key: key).finish { _ in manifest }
        }
        #expect(try cache.indexes().map(\.name) == ["a.mp4", "b.mp4", "c.mp4"])
        #expect(try cache.indexes()[0].inode == UInt64.max - 3)
        try overwrite(cache.indexPath(Sample.key("3")) + "/manifest.json", Array("{".utf8))
        #expect(try cache.indexes().map(\.name) == ["a.mp4", "c.mp4"])
        let used = try cache.usedBytes()
        #expect(used > 0)
        #expect(try cache.freeBytes() > 0)
        // The trash of a run that died is cleared too.
        try FileManager.default.createDirectory(
            atPath: cache.path + "/trash/old/deep", withIntermediateDirectories: true)
        try cache.remove(indexID: Sample.key("2").id)
        #expect(try cache.indexes().map(\.name) == ["c.mp4"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: cache.path + "/trash").isEmpty)
        #expect(try cache.usedBytes() < used)
        expectCode(.notFound) { try cache.remove(indexID: Sample.key("2").id) }
        for id in ["..", "", "../../etc", String(repeating: "A", count: 32)] {
            expectCode(.badKey) { try cache.remove(indexID: id) }
        }
    }

    @Test func sha256KnownVectors() throws {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(ContentHash.sha256([]) == empty)
        #expect(ContentHash.sha256(Array("abc".utf8)) == abc)
        let directory = try TemporaryDirectory()
        let path = directory.path + "/file"
        for (bytes, hash) in [
            ([], empty), (Array("abc".utf8), abc), ([UInt8](repeating: 97, count: 1_000_000), million),
        ] {
            try overwrite(path, bytes)
            let descriptor = open(path, O_RDONLY)
            defer { close(descriptor) }
            lseek(descriptor, 1, SEEK_SET)
            #expect(try ContentHash.sha256(fileDescriptor: descriptor) { _ in } == hash)
            #expect(lseek(descriptor, 0, SEEK_CUR) == 1)
        }
        let large = [UInt8](repeating: 5, count: 3 << 20 | 17)
        try overwrite(path, large)
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var seen: [Int64] = []
        #expect(try ContentHash.sha256(fileDescriptor: descriptor) { seen.append($0) } == ContentHash.sha256(large))
        #expect(seen == [1 << 20, 2 << 20, 3 << 20, 3 << 20 | 17])
        #expect(throws: CancellationError.self) {
            try ContentHash.sha256(fileDescriptor: descriptor) { _ in throw CancellationError() }
        }
        expectCode(.io) { _ = try ContentHash.sha256(fileDescriptor: -1) { _ in } }
    }
}
