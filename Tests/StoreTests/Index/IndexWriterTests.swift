import Foundation
import Glibc
import Testing

import Store

@Suite struct IndexWriterTests {
    @Test func roundTripOverTwoAndAHalfSegments() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        #expect(!IndexReader.exists(cache: cache, key: Sample.key()))
        try Sample.write(10, to: cache)
        #expect(IndexReader.exists(cache: cache, key: Sample.key()))
        let reader = try IndexReader(cache: cache, key: Sample.key())
        try Sample.verify(reader, frames: 10)
        #expect(reader.manifest.segments.map(\.file) == ["000000.seg", "000001.seg", "000002.seg"])
        #expect(reader.manifest.segments.map(\.count) == [4, 4, 2])
        #expect(reader.manifest.segments.map(\.first) == [0, 4, 8])
        // Head 48 bytes, part 10, padded to 64; head 48, part 48, padded to 128.
        #expect(reader.manifest.segments.map(\.bytes) == [4096 + 256 + 24, 4096 + 256 + 24, 4096 + 128 + 24])
        #expect(reader.manifest.patches.files.map(\.file) == ["000000.pat", "000001.pat", "000002.pat"])
        #expect(reader.manifest.patches.files.map(\.bytes) == [4096 + 512 + 24, 4096 + 512 + 24, 4096 + 256 + 24])
        #expect(reader.patchFrames == Array(0..<10) && reader.hasAllPatches)
        #expect(try reader.layout == Sample.layout)
        let names = try files(cache.indexPath(Sample.key())).keys.sorted()
        #expect(
            names == [
                "000000.pat", "000000.seg", "000001.pat", "000001.seg", "000002.pat", "000002.seg", "manifest.json",
            ])
    }

    @Test func readerRefusesWhatDoesNotExist() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        expectCode(.notFound) { _ = try IndexReader(cache: cache, key: Sample.key()) }
        try Sample.write(5, to: cache)
        let reader = try IndexReader(cache: cache, key: Sample.key())
        var buffer = [UInt8](repeating: 0, count: 48)
        for (part, frame) in [(0, 5), (0, -1), (2, 0), (-1, 0), (1, 0)] {
            expectCode(.badKey) {
                try buffer.withUnsafeMutableBytes { try reader.read(part: part, frame: frame, into: $0) }
            }
        }
        try cache.remove(indexID: Sample.key().id)
        expectCode(.notFound) { try buffer.withUnsafeMutableBytes { try reader.read(part: 0, frame: 0, into: $0) } }
    }

    @Test func emptyIndex() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        try Sample.write(0, to: cache)
        #expect(try IndexReader(cache: cache, key: Sample.key()).entries.isEmpty)
    }

    @Test func wrongOrderAndWrongPartsAreRefused() throws {
        let directory = try TemporaryDirectory()
        let writer = try Sample.writer(try directory.cache())
        expectCode(.badKey) { try Sample.append(writer, frame: 1) }
        try Sample.append(writer, frame: 0)
        expectCode(.badKey) { try Sample.append(writer, frame: 0) }
        expectCode(.badKey) { try writer.append(Sample.entry(1), parts: []) }
        try Sample.append(writer, frame: 1)
        writer.discard()
        expectCode(.badKey) { try Sample.append(writer, frame: 2) }
    }

    @Test(arguments: [0, 1, 4, 6, 9])
    func resumeGivesTheBytesOfAnUninterruptedRun(stop: Int) throws {
        let directory = try TemporaryDirectory()
        let whole = try directory.cache("whole")
        try Sample.write(10, to: whole)
        let cache = try directory.cache("cut")
        let source = cache.indexPath(Sample.key())
        // The state on disk at a kill: a copy taken while the writer has its segment open.
        let killed = try directory.cache("killed")
        let target = killed.indexPath(Sample.key())
        let writer = try Sample.writer(cache)
        for frame in 0..<stop { try Sample.append(writer, frame: frame) }
        try FileManager.default.copyItem(atPath: source, toPath: target)
        #expect(try files(target).keys.contains { $0.hasSuffix(".tmp") } == (stop % 4 != 0))
        let resumed = try Sample.writer(killed)
        #expect(resumed.framesDone == stop / 4 * 4)
        #expect(try !files(target).keys.contains { $0.hasSuffix(".tmp") })
        for frame in resumed.framesDone..<10 { try Sample.append(resumed, frame: frame) }
        try Sample.finish(resumed)
        #expect(try files(target) == files(whole.indexPath(Sample.key())))
    }

    @Test(arguments: [1, 3, 4, 6, 8])
    func partialIndexGrowsToTheSameBytes(stop: Int) throws {
        let directory = try TemporaryDirectory()
        let whole = try directory.cache("whole")
        try Sample.write(10, to: whole)
        let cache = try directory.cache()
        let path = cache.indexPath(Sample.key())
        let writer = try Sample.writer(cache)
        for frame in 0..<stop { try Sample.append(writer, frame: frame) }
        try Sample.finish(writer, state: "partial")
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: stop)
        // One frame more and a stop: what was sealed is still all there.
        let stopped = try Sample.writer(cache)
        #expect(stopped.framesDone == stop)
        try Sample.append(stopped, frame: stop)
        stopped.discard()
        let reader = try IndexReader(cache: cache, key: Sample.key())
        #expect(reader.manifest.state == "partial")
        let known = stopped.framesDone
        #expect(known == (stop == 3 ? 4 : stop))
        try Sample.verify(reader, frames: known)
        try Sample.write(10, to: cache)
        #expect(try files(path) == files(whole.indexPath(Sample.key())))
        // The frames an old reader knows have not moved.
        try Sample.verify(reader, frames: known)
    }

    @Test func aSegmentOfAnotherLengthOrNumberIsRemoved() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        try Sample.write(12, to: cache)
        let path = cache.indexPath(Sample.key())
        try FileManager.default.removeItem(atPath: path + "/000001.seg")
        try FileManager.default.copyItem(atPath: path + "/000002.seg", toPath: path + "/000001.seg")
        expectCode(.damaged) { _ = try IndexReader(cache: cache, key: Sample.key()) }
        let writer = try Sample.writer(cache)
        #expect(writer.framesDone == 4)
        #expect(try Set(files(path).keys) == ["000000.seg", "000000.pat"])
        writer.discard()
        let other = try IndexWriter(cache: cache, key: Sample.key(), layout: try Sample.layout, framesPerSegment: 3)
        #expect(other.framesDone == 0)
    }

    @Test func secondWriterIsLockedOut() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        let first = try Sample.writer(cache)
        expectCode(.locked) { _ = try Sample.writer(cache) }
        expectCode(.locked) { try cache.remove(indexID: Sample.key().id) }
        _ = try Sample.writer(cache, key: Sample.key("other"))
        first.discard()
        let second = try Sample.writer(cache)
        try Sample.finish(second)
        _ = try Sample.writer(cache)
    }

    @Test func wrongManifestIsRefusedAndCanBeMadeGood() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        let writer = try Sample.writer(cache)
        try Sample.append(writer, frame: 0)
        let wrong = try Sample.manifest(2)
        expectCode(.badKey) { try writer.finish { _ in wrong } }
        try Sample.finish(writer)
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 1)
    }

    @Test func keyIDCoversEveryField() throws {
        let base = Sample.key()
        var ids: Set<String> = [base.id]
        let changes: [(inout IndexKey) -> Void] = [
            { $0.content = "abd" }, { $0.stream = 1 }, { $0.sampling = "2/1" }, { $0.preprocessing = "crop" },
            { $0.model = "tower2" }, { $0.record = "f32" }, { $0.formatVersion = 3 },
            { ($0.sampling, $0.preprocessing) = ("1/1p", "ad") },
        ]
        for change in changes {
            var key = base
            change(&key)
            ids.insert(key.id)
        }
        #expect(ids.count == 9)
        #expect(base.id.count == 32)
        #expect(IndexKey.isID(base.id))
    }

    @Test func impossibleLayoutsAndKeysAreRefused() throws {
        for sizes in [[-1], [Int.max], [Int.max / 2, Int.max / 2, 10]] {
            expectCode(.badKey) {
                _ = try RecordLayout(parts: sizes.map { RecordPart(name: "x", bytes: $0, format: "") })
            }
        }
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        expectCode(.badKey) { _ = try Sample.writer(cache, key: Sample.key(String(repeating: "x", count: 5000))) }
        expectCode(.badKey) { _ = try Sample.writer(cache, key: Sample.key(version: 0)) }
        for frames in [0, -1, Int.max] {
            expectCode(.badKey) {
                _ = try IndexWriter(
                    cache: cache, key: Sample.key(), layout: try Sample.layout, framesPerSegment: frames)
            }
        }
    }
}
