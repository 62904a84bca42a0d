import Foundation
import Testing

import Store

/// Frames that have the record of an earlier frame of their segment.
@Suite struct ReferenceTests {
    private static let key = Sample.key("references", version: 3)
    private static let segment = 50

    /// The frame whose record a frame has: a few in a row, then a long rest.
    private static func owner(_ frame: Int) -> Int {
        let inSegment = frame % segment
        return frame - inSegment + (inSegment < 6 ? inSegment : inSegment < 30 ? 5 : 30 + (inSegment - 30) / 7 * 7)
    }

    private static func append(_ writer: IndexWriter, _ frame: Int) throws {
        let owner = owner(frame)
        let (first, second) = (Sample.bytes(owner, part: 0), Sample.bytes(owner, part: 1))
        try first.withUnsafeBytes { a in
            try second.withUnsafeBytes { b in
                if owner == frame {
                    try writer.append(Sample.entry(frame), parts: [a, b])
                } else {
                    try writer.append(reference: Sample.entry(frame), parts: [a, b])
                }
            }
        }
    }

    private static func write(_ frames: Int, to cache: CacheDirectory, keep: PatchKeeping = .all) throws {
        let writer = try Sample.writer(cache, key: key, keep: keep, segment: segment)
        for frame in writer.framesDone..<max(frames, writer.framesDone) { try append(writer, frame) }
        try Sample.finish(writer, key: key)
    }

    private static func verify(_ reader: IndexReader, frames: Int) throws {
        try #require(reader.entries == (0..<frames).map(Sample.entry))
        for frame in 0..<frames {
            try #require(try Sample.read(reader, frame, part: 1) == Sample.bytes(owner(frame), part: 1))
        }
        for frame in reader.patchFrames {
            try #require(try Sample.read(reader, frame, part: 0) == Sample.bytes(owner(frame), part: 0))
        }
    }

    @Test func aReferenceTakesFortyBytes() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Self.write(230, to: cache)
        let reader = try IndexReader(cache: cache, key: Self.key)
        try Self.verify(reader, frames: 230)
        #expect(reader.patchFrames.count == 230)
        let own = (0..<230).count { Self.owner($0) == $0 }
        #expect(reader.manifest.framesReused == 230 - own)
        let layout = try Sample.layout
        let headers = 10 * (4096 + 24)
        #expect(Int(reader.manifest.bytes) == headers + own * layout.recordBytes + (230 - own) * 40)
        let check = try cache.check(readData: true)
        #expect(check.damage.isEmpty && check.frames == 230)
        #expect(try IndexScan(cache: cache, indexID: Self.key.id).entry(of: 77) == Sample.entry(77))
    }

    @Test func aScanTellsWhichRecordEachFrameHas() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Self.write(130, to: cache)
        let scan = try IndexScan(cache: cache, indexID: Self.key.id)
        let bytes = 3 * scan.manifest.layout.frameBytes
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
        defer { buffer.deallocate() }
        let offset = scan.manifest.layout.offset(ofPart: 1)
        for segment in 0..<3 {
            var records: [[UInt8]] = []
            let shared = try scan.read(segment: segment, parts: [1], buffer: buffer) { found in
                for record in 0..<found.count {
                    let start = found.base + record * found.stride + offset
                    records.append(Array(UnsafeRawBufferPointer(start: start, count: 10)))
                }
            }
            let first = segment * Self.segment
            let map = try #require(shared)
            for (frame, record) in map.records.enumerated() {
                #expect(records[record] == Sample.bytes(Self.owner(first + frame), part: 1))
                #expect(map.gridTimes[frame] == Double(first + frame))
            }
        }
    }

    /// Stopped in any way after any number of frames and continued: the same bytes in all files.
    @Test(arguments: [1, 7, 29, 49, 50, 51, 80, 130, 150, 256, 299], [PatchKeeping.all, .sample])
    func stoppedAndContinued(stop: Int, keep: PatchKeeping) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let whole = try directory.cache("whole")
        try Self.write(300, to: whole, keep: keep)
        let wanted = try files(whole.indexPath(Self.key))
        for how in ["killed", "suspended", "partial"] {
            let cache = try directory.cache(how)
            do {
                let writer = try Sample.writer(cache, key: Self.key, keep: keep, segment: Self.segment)
                for frame in 0..<stop { try Self.append(writer, frame) }
                #expect(try writer.unfinishedSegment().count == stop % Self.segment)
                switch how {
                case "suspended": #expect(try writer.suspend() == stop)
                case "partial": try Sample.finish(writer, key: Self.key, state: "partial")
                default: break
                }
            }
            if how == "partial" { try Self.verify(try IndexReader(cache: cache, key: Self.key), frames: stop) }
            do {
                let writer = try Sample.writer(cache, key: Self.key, keep: keep, segment: Self.segment)
                let start = writer.framesDone / Self.segment * Self.segment
                let own = try writer.unfinishedSegment()
                #expect(own == (start..<writer.framesDone).map { Self.owner($0) == $0 })
            }
            try Self.write(300, to: cache, keep: keep)
            #expect(try files(cache.indexPath(Self.key)) == wanted, "\(how) after \(stop) frames")
        }
    }

    @Test func evictedPatchesAreThoseOfTokens() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (all, tokens) = (try directory.cache("all"), try directory.cache("tokens"))
        try Self.write(300, to: all)
        try Self.write(300, to: tokens, keep: .sample)
        try all.evictPatches(indexID: Self.key.id)
        #expect(try files(all.indexPath(Self.key)) == files(tokens.indexPath(Self.key)))
        let reader = try IndexReader(cache: all, key: Self.key)
        #expect(reader.patchFrames == PatchSample.indices(frames: 300))
        try Self.verify(reader, frames: 300)
        #expect(try all.check(readData: true).damage.isEmpty)
        let sample = try #require(reader.manifest.patches.files.first)
        #expect((sample.reused ?? 0) > 20, "frames of the sample share their records")
    }

    /// Every byte of a file, damaged: found by the check; the repaired index ends before it and can be continued.
    @Test func damageIsFoundAndRepaired() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Self.write(130, to: cache)
        let path = cache.indexPath(Self.key)
        let wanted = try files(path)
        for name in ["000001.seg", "000001.pat"] {
            let whole = try #require(wanted[name])
            for offset in Array(stride(from: 0, to: 4096, by: 397)) + Array(4096..<whole.count) {
                var bytes = whole
                bytes[offset] ^= 0x10
                try overwrite(path + "/" + name, bytes)
                try #require(try !cache.check(readData: true).damage.isEmpty, "\(name), byte \(offset)")
            }
            let repairs = try cache.repair()
            #expect(repairs.map(\.action) == [.shortened] && repairs.first?.frames == 50)
            try Self.verify(try IndexReader(cache: cache, key: Self.key), frames: 50)
            try Self.write(130, to: cache)
            #expect(try files(path) == wanted)
        }
    }

    @Test func whatCannotBeAReference() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        let writer = try Sample.writer(cache, key: Self.key, segment: Self.segment)
        let parts = [Sample.bytes(0, part: 0), Sample.bytes(0, part: 1)]
        func refer(_ writer: IndexWriter, _ frame: Int) throws {
            try parts[0].withUnsafeBytes { a in
                try parts[1].withUnsafeBytes { b in try writer.append(reference: Sample.entry(frame), parts: [a, b]) }
            }
        }
        expectCode(.badKey) { try refer(writer, 0) }
        let whole = try Sample.writer(cache, key: Sample.key("whole"), segment: Self.segment)
        try Sample.append(whole, frame: 0)
        expectCode(.badKey) { try refer(whole, 1) }
    }

    /// A program that knows only version 2 sees a newer version in both files, where it looks for one.
    @Test func filesSayTheirVersion() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Self.write(60, to: cache)
        try Sample.write(6, to: cache)
        for (key, version) in [(Self.key, 3), (Sample.key(), 2)] {
            let path = cache.indexPath(key)
            #expect(try contents(path + "/000000.seg")[8] == UInt8(version))
            let manifest = String(decoding: try contents(path + "/manifest.json"), as: UTF8.self)
            #expect(manifest.contains("\"format\":\(version)"))
        }
    }
}
