import Foundation
import Testing

import Store

@Suite struct CacheRepairTests {
    private func flip(_ path: String, _ offset: Int) throws {
        var bytes = try contents(path)
        bytes[offset] ^= 1
        try overwrite(path, bytes)
    }

    @Test(arguments: [("000001.seg", 4096 + 64 * 2 + 50, 6), ("000001.pat", 4096 + 128 * 3 + 60, 7)])
    func aDamagedSegmentEndsTheIndexBeforeIt(name: String, offset: Int, frame: Int) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        try Sample.write(6, to: cache, key: Sample.key("whole"))
        let path = cache.indexPath(Sample.key())
        let good = try files(path)
        try flip(path + "/" + name, offset)
        #expect(try cache.check(readData: false).damage.isEmpty)
        let damage = try cache.check(readData: true).damage
        #expect(damage.map(\.file) == [path + "/" + name] && damage.map(\.frame) == [frame])
        #expect(damage[0].indexID == Sample.key().id && damage[0].name == "talk.mp4")
        // Two of two parts of the data: the damage is in one of them.
        let parts = try ["1/2", "2/2"].map { (text: String) throws -> Int in
            let part: CheckSubset = try #require(CheckSubset(text))
            return try cache.check(readData: true, subset: part).damage.count
        }
        #expect(parts.sorted() == [0, 1])

        let repairs = try cache.repair()
        #expect(repairs.map(\.action) == [.shortened] && repairs.map(\.frames) == [4])
        #expect(try cache.check(readData: true).damage.isEmpty)
        let reader = try IndexReader(cache: cache, key: Sample.key())
        #expect(reader.manifest.state == "partial")
        #expect(reader.manifest.warnings.contains { $0.hasPrefix(Manifest.repaired + ": ") })
        try Sample.verify(reader, frames: 4)
        try Sample.write(10, to: cache)
        #expect(try files(path) == good)
        #expect(try cache.repair().isEmpty)
    }

    @Test func nothingIsLeftOfADamagedBeginning() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        try flip(cache.indexPath(Sample.key()) + "/000000.seg", 2000)
        try Sample.write(200, to: cache, key: Sample.key("tokens"), keep: .sample, segment: 50)
        try flip(cache.indexPath(Sample.key("tokens")) + "/sample.pat", 4096 + 60)
        #expect(try cache.repair().map(\.action) == [.removed, .removed])
        #expect(try cache.contents().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: cache.path + "/trash").isEmpty)
    }

    @Test func aDamagedManifestIsMadeAgainFromWhatIsThere() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        let path = cache.indexPath(Sample.key())
        let good = try files(path)
        try flip(path + "/manifest.json", 100)
        #expect(try cache.check(readData: false).damage.map(\.file) == [path + "/manifest.json"])
        #expect(try cache.repair().map(\.action) == [.reopened])
        let writer = try Sample.writer(cache)
        #expect(writer.framesDone == 10)
        try Sample.finish(writer)
        #expect(try files(path) == good)
    }

    @Test func tokensAreGoneOnWithAfterTheDamage() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(300, to: cache, keep: .sample, segment: 50)
        let path = cache.indexPath(Sample.key())
        let good = try files(path)
        try flip(path + "/000003.seg", 4096 + 50)
        let repairs = try cache.repair()
        #expect(repairs.map(\.action) == [.reopened] && repairs.map(\.frames) == [150])
        let writer = try Sample.writer(cache, keep: .sample, segment: 50)
        #expect(writer.framesDone == 150)
        for frame in 150..<300 { try Sample.append(writer, frame: frame) }
        try Sample.finish(writer)
        #expect(try files(path) == good)
    }

    @Test func aMissingFileIsDamage() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        let path = cache.indexPath(Sample.key())
        try FileManager.default.removeItem(atPath: path + "/000002.pat")
        let damage = try cache.check(readData: false).damage
        #expect(damage.map(\.reason) == ["missing"] && damage[0].file.hasSuffix("000002.pat"))
        #expect(try cache.repair().map(\.frames) == [8])
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 8)
    }

    @Test func whatIsOpenIsSkipped() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(10, to: cache)
        let reader = try IndexReader(cache: cache, key: Sample.key())
        try flip(cache.indexPath(Sample.key()) + "/000002.seg", 4096 + 50)
        #expect(try cache.repair().map(\.action) == [.skipped])
        withExtendedLifetime(reader) {}
    }

    @Test(arguments: ["", "0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/3", "1/9999999"])
    func whatIsNoPartIsRefused(text: String) { #expect(CheckSubset(text) == nil) }
}
