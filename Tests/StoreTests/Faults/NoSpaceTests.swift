import Foundation
import Glibc
import Testing

import Store

/// Real full disks: a small tmpfs where it can be mounted, a file size limit in a child process everywhere.
@Suite struct NoSpaceTests {
    private static let wide = 60_000

    private static func layout() throws -> RecordLayout {
        try RecordLayout(parts: [RecordPart(name: "wide", bytes: wide, format: "u8")])
    }

    /// Appends until something throws; gives that and the frames written before.
    private static func fill(_ writer: IndexWriter, upTo limit: Int) -> (StoreError?, Int) {
        let part = [UInt8](repeating: 7, count: wide)
        var frame = writer.framesDone
        do {
            while frame < limit {
                try part.withUnsafeBytes { try writer.append(Sample.entry(frame), parts: [$0]) }
                frame += 1
            }
        } catch { return (error as? StoreError, frame) }
        return (nil, frame)
    }

    private static func canMount() -> Bool {
        guard geteuid() == 0, let directory = try? TemporaryDirectory() else { return false }
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=64k") == 0 else { return false }
        umount(directory.path)
        return true
    }

    @Test(.enabled(if: NoSpaceTests.canMount(), "a tmpfs cannot be mounted here"))
    func fullDiskKeepsSealedSegments() throws {
        let directory = try TemporaryDirectory()
        try #require(mount("tmpfs", directory.path, "tmpfs", 0, "size=1m,mode=700") == 0)
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let cache = try directory.cache()
        let layout = try NoSpaceTests.layout()
        let writer = try IndexWriter(cache: cache, key: Sample.key(), layout: layout, framesPerSegment: 4)
        let (error, frames) = NoSpaceTests.fill(writer, upTo: 100)
        #expect(error?.code == .noSpace, "\(String(describing: error))")
        #expect(error?.message.contains("bytes do not fit") == true)
        #expect(frames > 12 && writer.framesDone == frames / 4 * 4)
        // The open segment is gone, so there is room again for the manifest.
        try writer.finish { contents in
            Manifest(
                key: Sample.key(), layout: layout, name: "n", path: "p", fileSize: 1, modified: 1, inode: 1,
                timeBase: [1, 1], contents: contents, state: "partial", created: "", modelName: "")
        }
        let reader = try IndexReader(cache: cache, key: Sample.key())
        #expect(reader.entries.count == frames / 4 * 4)
        var buffer = [UInt8](repeating: 0, count: NoSpaceTests.wide)
        try buffer.withUnsafeMutableBytes { try reader.read(part: 0, frame: reader.entries.count - 1, into: $0) }
        #expect(buffer.allSatisfy { $0 == 7 })
        #expect(try files(cache.indexPath(Sample.key())).keys.allSatisfy { !$0.hasSuffix(".tmp") })
    }

    /// No names are left, though there are bytes: any number of them, from none to more than are needed.
    @Test(.enabled(if: NoSpaceTests.canMount(), "a tmpfs cannot be mounted here"))
    func noInodesKeepSealedSegments() throws {
        let directory = try TemporaryDirectory()
        var (failed, isWhole) = (0, false)
        for inodes in 2..<60 where !isWhole {
            let options = { (count: Int) in "size=8m,mode=700,nr_inodes=\(count)" }
            try #require(mount("tmpfs", directory.path, "tmpfs", 0, options(inodes)) == 0)
            defer { umount2(directory.path, Int32(MNT_DETACH)) }
            var sealed = 0
            do {
                let writer = try Sample.writer(try directory.cache())
                defer { writer.discard() }
                for frame in 0..<10 {
                    try Sample.append(writer, frame: frame)
                    sealed = writer.framesDone
                }
                try Sample.finish(writer)
                isWhole = true
            } catch let error as StoreError {
                try #require(error.code == .noSpace || error.code == .io, "\(inodes) inodes: \(error)")
                failed += 1
            }
            try #require(mount("tmpfs", directory.path, "tmpfs", UInt(MS_REMOUNT), options(1000)) == 0)
            let cache = try directory.cache()
            try #require(try cache.check(readData: true).damage.isEmpty, "\(inodes) inodes")
            let again = try Sample.writer(cache)
            try #require(again.framesDone >= sealed, "\(inodes) inodes")
            again.discard()
            try Sample.write(10, to: cache)
            try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 10)
        }
        #expect(failed > 5 && isWhole)
    }

    @Test func fileSizeLimitIsNoSpace() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let cache = try directory.cache()
            let layout = try NoSpaceTests.layout()
            let key = Sample.key()
            var limit = rlimit(rlim_cur: 150_000, rlim_max: 150_000)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let writer = try IndexWriter(cache: cache, key: key, layout: layout, framesPerSegment: 4)
            let (error, frames) = NoSpaceTests.fill(writer, upTo: 100)
            try #require(error?.code == .noSpace)
            try #require(frames == 2 && writer.framesDone == 0)
            try #require(try files(cache.indexPath(key)).isEmpty)
            // What fits is written all the same.
            let small = try IndexWriter(cache: cache, key: Sample.key("x"), layout: layout, framesPerSegment: 2)
            try #require(NoSpaceTests.fill(small, upTo: 4).0 == nil)
            try #require(small.framesDone == 4)
        }
    }
}
