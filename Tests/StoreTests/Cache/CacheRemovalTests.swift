import Foundation
import Glibc
import Synchronization
import Testing

import Store

/// Bounds: what goes, in which order, and what stays.
@Suite struct CacheRemovalTests {
    /// Three indexes of 300 frames; "a" was asked last, then "b", then "c".
    private func library() throws -> (TemporaryDirectory, CacheDirectory) {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        for (number, name) in ["c", "b", "a"].enumerated() {
            try Sample.write(300, to: cache, key: Sample.key(name), segment: 100)
            try age(cache, name, 1000 - number * 100)
        }
        return (directory, cache)
    }

    /// Sets when the index was last asked, in seconds before now.
    private func age(_ cache: CacheDirectory, _ name: String, _ seconds: Int) throws {
        cache.touchAsked(indexID: Sample.key(name).id)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -Double(seconds))],
            ofItemAtPath: cache.indexPath(Sample.key(name)) + "/.asked")
    }

    private func said(_ report: RemovalReport) -> [String] {
        report.removed.map { removal in
            let name = ["a", "b", "c"].first { Sample.key($0).id == removal.indexID }
            return removal.kind.rawValue + " " + (name ?? URL(filePath: removal.path).lastPathComponent)
        }
    }

    @Test func theOrderIsDerivedThenPatchesThenIndexes() throws {
        let (directory, cache) = try library()
        defer { withExtendedLifetime(directory) {} }
        let full = try cache.usedBytes()
        #expect(try cache.shrink(to: full).removed.isEmpty)
        for (number, name) in ["new", "old"].enumerated() {
            let path = cache.derivedPath + "/" + name
            try overwrite(path, [UInt8](repeating: 0, count: 5000))
            var times = [
                timespec(tv_sec: 1_000_000 - number, tv_nsec: 0), timespec(tv_sec: 1_000_000 - number, tv_nsec: 0),
            ]
            utimensat(AT_FDCWD, path, &times, 0)
        }
        #expect(said(try cache.shrink(to: full + 5000, dryRun: true)) == ["derived old"])
        #expect(Posix.exists(cache.derivedPath + "/old"))
        #expect(said(try cache.shrink(to: full + 5000)) == ["derived old"])
        #expect(said(try cache.shrink(to: full - 1000)) == ["derived new", "patches c"])
        let one = try cache.usedBytes()
        #expect(try IndexReader(cache: cache, key: Sample.key("c")).patchFrames.count == 75)
        // What was asked just now goes last.
        cache.touchAsked(indexID: Sample.key("b").id)
        #expect(said(try cache.shrink(to: one - 1000)) == ["patches a"])
        #expect(said(try cache.shrink(to: try cache.usedBytes() - 1)) == ["patches b"])
        let slim = try cache.usedBytes()
        #expect(said(try cache.shrink(to: slim - 1, dryRun: true)) == ["index c"])
        #expect(said(try cache.shrink(to: slim - 1)) == ["index c"])
        #expect(try cache.indexes().count == 2)
        let rest = try cache.shrink(to: 0)
        #expect(said(rest) == ["index a", "index b"])
        #expect(try cache.indexes().isEmpty)
        #expect(rest.bytesAfter == (try cache.usedBytes()))
    }

    @Test func whatIsOpenOrWrittenStays() throws {
        let (directory, cache) = try library()
        defer { withExtendedLifetime(directory) {} }
        var reader: IndexReader? = try IndexReader(cache: cache, key: Sample.key("a"))
        let writer = try Sample.writer(cache, key: Sample.key("b"), segment: 100)
        let budget = CacheBudget(cache: cache, limit: 20_000)
        let message = expectCode(.cacheFull) { try budget.makeRoom(for: 10_000, indexID: "none") }
        #expect(message.contains("being written") && message.contains("open") && message.contains("raise the limit"))
        #expect(try cache.indexes().count == 2)
        try Sample.verify(try #require(reader), frames: 300)
        #expect(reader?.hasAllPatches == true)
        writer.discard()
        reader = nil
        // Its own index is never touched by the one who makes room.
        let dry = try cache.shrink(to: 0, keep: [Sample.key("b").id], dryRun: true)
        #expect(!dry.removed.contains { $0.indexID == Sample.key("b").id })
        let room = try CacheBudget(cache: cache, limit: 30_000).makeRoom(for: 10_000, indexID: Sample.key("x").id)
        #expect(!room.removed.isEmpty)
        #expect(try cache.usedBytes() <= 20_000)
    }

    @Test func aDryRunSaysWhatARunDoes() throws {
        for share in [0.9, 0.6, 0.3, 0] {
            let (directory, cache) = try library()
            defer { withExtendedLifetime(directory) {} }
            let limit = Int64(Double(try cache.usedBytes()) * share)
            let dry = try cache.shrink(to: limit, dryRun: true)
            let run = try cache.shrink(to: limit)
            #expect(said(dry) == said(run) && !run.removed.isEmpty)
            #expect(run.bytesAfter <= limit)
        }
    }

    @Test func indexesOfOlderVersionsAreFoundAndRemoved() throws {
        let (directory, cache) = try library()
        defer { withExtendedLifetime(directory) {} }
        // An index of version 1 as it lay on disk: a manifest of another shape, segments with another header.
        let old = cache.path + "/indexes/" + String(repeating: "1", count: 32)
        try FileManager.default.createDirectory(atPath: old, withIntermediateDirectories: true)
        try overwrite(old + "/manifest.json", Array(#"{"checksum":"0","format":1,"manifest":{"frames":3}}"#.utf8))
        let bare = cache.path + "/indexes/" + String(repeating: "2", count: 32)
        try FileManager.default.createDirectory(atPath: bare, withIntermediateDirectories: true)
        let newer = cache.path + "/indexes/" + String(repeating: "3", count: 32)
        try FileManager.default.createDirectory(atPath: newer, withIntermediateDirectories: true)
        for (folder, version) in [(old, UInt8(1)), (bare, 1), (newer, 4)] {
            var header: [UInt8] = Array("LTSEG".utf8) + [0, 0, 1, version, 0, 0, 0]
            header += [UInt8](repeating: 0, count: 4088 - header.count)
            header.put(Checksum.of(header))
            try overwrite(folder + "/000000.seg", header + [UInt8](repeating: 0, count: 200))
        }
        let states = Dictionary(uniqueKeysWithValues: try cache.contents().map { ($0.name.prefix(4), $0.state) })
        #expect(states["1111"] == .older(version: 1) && states["2222"] == .older(version: 1))
        #expect(states["3333"] == .newer(version: 4))
        #expect(try cache.indexes().count == 3)
        #expect(try cache.check(readData: true).damage.isEmpty && cache.check(readData: true).otherVersions == 3)
        let report = try cache.removeLeftovers(unfinished: false)
        #expect(report.removed.map(\.kind) == [.olderIndex, .olderIndex])
        #expect(!Posix.exists(old) && !Posix.exists(bare) && Posix.exists(newer))
        // A newer program's index is left alone, however full it is.
        _ = try cache.shrink(to: 0)
        #expect(Posix.exists(newer))
    }

    @Test func leftoversOfDeadRunsGo() throws {
        let (directory, cache) = try library()
        defer { withExtendedLifetime(directory) {} }
        let path = cache.indexPath(Sample.key("a"))
        try overwrite(path + "/000003.seg.999999999.tmp", [1, 2, 3])
        try overwrite(cache.path + "/limits.json.999999999.tmp", [1])
        try FileManager.default.createDirectory(atPath: cache.path + "/trash/x/y", withIntermediateDirectories: true)
        do {
            let writer = try Sample.writer(cache, key: Sample.key("open"))
            for frame in 0..<5 { try Sample.append(writer, frame: frame) }
            writer.discard()
        }
        #expect(try cache.contents().first { $0.name == Sample.key("open").id }?.state == .unfinished)
        let dry = try cache.removeLeftovers(unfinished: true, dryRun: true)
        #expect(dry.removed.count == 4 && Posix.exists(path + "/000003.seg.999999999.tmp"))
        let report = try cache.removeLeftovers(unfinished: false)
        #expect(report.removed.count == 3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: cache.path + "/trash").isEmpty)
        #expect(!Posix.exists(cache.path + "/limits.json.999999999.tmp"))
        #expect(Posix.exists(cache.indexPath(Sample.key("open"))))
        #expect(try cache.removeLeftovers(unfinished: true).removed.map(\.kind) == [.unfinished])
        #expect(try cache.indexes().count == 3)
    }

    /// Written in `derived/` by a process that was killed, and by one that lives.
    @Test func temporaryDerivedFilesOfDeadRunsGo() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        let id = Sample.key().id
        let (dead, alive) = (
            cache.derivedPath + "/\(id).h.999999999.tmp", cache.derivedPath + "/\(id).h.\(getpid()).tmp"
        )
        func make() throws { for file in [dead, alive] { try overwrite(file, [UInt8](repeating: 1, count: 5000)) } }
        try make()
        #expect(try cache.removeLeftovers(unfinished: false, dryRun: true).removed.map(\.path) == [dead])
        #expect(Posix.exists(dead))
        #expect(try cache.removeLeftovers(unfinished: false).removed.map(\.kind) == [.leftover])
        #expect(!Posix.exists(dead) && Posix.exists(alive))
        try make()
        #expect(try cache.makeDerivedRoom(for: 10, limit: 1 << 20))
        #expect(!Posix.exists(dead) && Posix.exists(alive))
        try make()
        #expect(try cache.shrink(to: 0).removed.map(\.path) == [dead])
        #expect(!Posix.exists(dead) && Posix.exists(alive))
    }

    @Test func theLimitIsRemembered() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        let first = try cache.limit(remember: false)
        #expect(!Posix.exists(cache.path + "/limits.json"))
        let free = try cache.freeBytes()
        #expect(first > free / 2 && first <= free)
        let kept = try cache.limit()
        try Sample.write(5, to: cache)
        #expect(try cache.limit() == kept)
        #expect(try CacheDirectory(path: cache.path).limit() == kept)
        #expect(try cache.limit(.bytes(77)) == 77)
        #expect(try cache.limit(.percent(50)) > 0)
        #expect(try cache.limit() == kept)
        // What cannot be read is rebuilt.
        try overwrite(cache.path + "/limits.json", Array("{".utf8))
        #expect(try cache.limit() > 0)
    }

    @Test(arguments: [
        ("1000000", CacheSize.bytes(1_000_000)), ("200G", .bytes(200 << 30)), ("1.5TiB", .bytes(3 << 39)),
        ("500MB", .bytes(500_000_000)), ("2k", .bytes(2048)), ("80%", .percent(80)), (" 12.5 % ", .percent(12.5)),
        ("0", .bytes(0)), ("7B", .bytes(7)), ("3 GiB", .bytes(3 << 30)),
    ])
    func sizesAreRead(text: String, size: CacheSize) { #expect(CacheSize(text) == size) }

    @Test(arguments: ["", "x", "-1", "101%", "1Q", "1 2", "1e3", "GiB", "99999999999T", "%", "1.2.3G", "5iB", "nan"])
    func whatIsNoSizeIsRefused(text: String) { #expect(CacheSize(text) == nil) }

    /// What four readers saw; each has a thread of its own.
    private final class Tally: Sendable {
        let isOver = Atomic<Bool>(false)
        let counts = Mutex<(whole: Int, missed: Int, wrong: [String])>((0, 0, []))
        let ended = DispatchSemaphore(value: 0)

        func read(_ path: String, _ reader: Int) {
            defer { ended.signal() }
            // Until everything that can go has gone, and once more through all of them.
            var (round, rest) = (reader, 3)
            while rest > 0 {
                if isOver.load(ordering: .acquiring) { rest -= 1 }
                let key = Sample.key(["a", "b", "c"][round % 3])
                round += 1
                do {
                    let cache = try CacheDirectory(path: path)
                    try Sample.verify(try IndexReader(cache: cache, key: key), frames: 300)
                    counts.withLock { $0.whole += 1 }
                } catch let error as StoreError where error.code == .notFound {
                    counts.withLock { $0.missed += 1 }
                } catch {
                    counts.withLock { $0.wrong.append("\(error)") }
                }
            }
        }
    }

    /// Four readers read while another thread prunes: each finishes or misses cleanly; what is open stays whole.
    @Test func readersDuringPruning() throws {
        let (directory, cache) = try library()
        defer { withExtendedLifetime(directory) {} }
        let path = cache.path
        let held = try IndexReader(cache: cache, key: Sample.key("a"))
        let tally = Tally()
        for reader in 0..<4 { Thread.detachNewThread { tally.read(path, reader) } }
        do {
            defer {
                tally.isOver.store(true, ordering: .releasing)
                for _ in 0..<4 { tally.ended.wait() }
            }
            for _ in 0..<30_000 where tally.counts.withLock({ $0.whole }) < 8 { usleep(1000) }
            for share in stride(from: 0.9, through: 0.1, by: -0.1) {
                _ = try cache.shrink(to: Int64(Double(try cache.usedBytes()) * share))
                usleep(2000)
            }
            // Readers pin what they read at that moment.
            for _ in 0..<5000 where try cache.contents().count > 1 {
                _ = try cache.shrink(to: 0)
                usleep(1000)
            }
        }
        let counts = tally.counts.withLock { $0 }
        print("readers during pruning: \(counts.whole) whole, \(counts.missed) missed")
        #expect(counts.wrong.isEmpty, "\(counts.wrong.prefix(3))")
        #expect(counts.whole >= 8 && counts.missed > 0)
        #expect(try cache.contents().map(\.name) == [Sample.key("a").id])
        #expect(held.hasAllPatches)
        try Sample.verify(held, frames: 300)
    }
}
