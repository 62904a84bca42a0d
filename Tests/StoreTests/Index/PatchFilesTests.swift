import Foundation
import Glibc
import Testing

import Store

/// The patch stream: complete, a sample, or gone.
@Suite struct PatchFilesTests {
    /// What a sample must be, by counting: a stride doubles whenever 128 are held.
    private func counted(_ frames: Int) -> [Int] {
        var (held, step) = ([Int](), 1)
        for frame in 0..<frames where frame % step == 0 {
            if held.count == 128 {
                step *= 2
                held.removeAll { $0 % step != 0 }
            }
            if frame % step == 0 { held.append(frame) }
        }
        return held
    }

    @Test func theSampleIsEvenAndBounded() {
        for frames in Array(0...1100) + [86_399, 86_400, 86_401, 10_000_000] {
            let sample = PatchSample.indices(frames: frames)
            if frames <= 100_000 { #expect(sample == counted(frames)) }
            #expect(sample.count <= 128)
            #expect(frames <= 128 ? sample.count == frames : sample.count >= 64)
            #expect(Set(zip(sample, sample.dropFirst()).map { $1 - $0 }).count <= 1)
        }
    }

    @Test func tokensKeepASample() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(300, to: cache, keep: .sample, segment: 50)
        let path = cache.indexPath(Sample.key())
        let names = try files(path).keys.sorted()
        #expect(names == (0..<6).map { "00000\($0).seg" } + ["manifest.json", "sample.pat"])
        let reader = try IndexReader(cache: cache, key: Sample.key())
        #expect(reader.patchFrames == stride(from: 0, to: 300, by: 4).map { $0 })
        #expect(!reader.hasAllPatches && !reader.manifest.hasAllPatches)
        try Sample.verify(reader, frames: 300)
        let message = expectCode(.notKept) { _ = try Sample.read(reader, 1, part: 0) }
        #expect(message.contains("frame 1") && message.contains("keep all patches"))
        #expect(try cache.check(readData: true).damage.isEmpty)
        // A short recording loses nothing.
        try Sample.write(100, to: cache, key: Sample.key("short"), keep: .sample, segment: 50)
        let short = try IndexReader(cache: cache, key: Sample.key("short"))
        #expect(short.hasAllPatches && short.manifest.hasAllPatches && short.patchFrames.count == 100)
        try Sample.write(0, to: cache, key: Sample.key("none"), keep: .sample)
        #expect(try IndexReader(cache: cache, key: Sample.key("none")).patchFrames.isEmpty)
    }

    /// Killed after any number of frames, and gone on with: the same bytes in all files.
    @Test(arguments: [1, 49, 50, 51, 128, 130, 150, 256, 257, 299])
    func theSampleSurvivesInterruption(stop: Int) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let whole = try directory.cache("whole")
        try Sample.write(300, to: whole, keep: .sample, segment: 50)
        let wanted = try files(whole.indexPath(Sample.key()))
        for how in ["killed", "suspended", "partial"] {
            let cache = try directory.cache(how)
            do {
                let writer = try Sample.writer(cache, keep: .sample, segment: 50)
                for frame in 0..<stop { try Sample.append(writer, frame: frame) }
                switch how {
                case "suspended": #expect(try writer.suspend() == stop)
                case "partial": try Sample.finish(writer, state: "partial")
                default: break
                }
            }
            if how == "partial" {
                let reader = try IndexReader(cache: cache, key: Sample.key())
                #expect(reader.patchFrames == PatchSample.indices(frames: stop))
                try Sample.verify(reader, frames: stop)
            }
            try Sample.write(300, to: cache, keep: .sample, segment: 50)
            #expect(try files(cache.indexPath(Sample.key())) == wanted, "\(how) after \(stop) frames")
        }
    }

    /// A run that kept patches was interrupted; the next one keeps tokens only, and the other way round.
    @Test func theKindCanChangeBetweenRuns() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        func finished(_ keep: PatchKeeping) throws -> [String: [UInt8]] {
            let cache = try directory.cache("\(keep)")
            try Sample.write(300, to: cache, keep: keep, segment: 50)
            return try files(cache.indexPath(Sample.key()))
        }
        let (all, sample) = (try finished(.all), try finished(.sample))
        for (first, then, wanted, kept) in [
            (PatchKeeping.all, PatchKeeping.sample, sample, 150), (.sample, .all, all, 100),
        ] {
            let cache = try directory.cache("\(first) then \(then)")
            let writer = try Sample.writer(cache, keep: first, segment: 50)
            for frame in 0..<170 { try Sample.append(writer, frame: frame) }
            writer.discard()
            #expect(try Sample.writer(cache, keep: then, segment: 50).framesDone == kept)
            try Sample.write(300, to: cache, keep: then, segment: 50)
            #expect(try files(cache.indexPath(Sample.key())) == wanted)
        }
    }

    @Test func evictionLeavesTheSampleOfTheRecording() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (cache, tokens) = (try directory.cache(), try directory.cache("tokens"))
        try Sample.write(300, to: cache, segment: 50)
        try Sample.write(300, to: tokens, keep: .sample, segment: 50)
        let path = cache.indexPath(Sample.key())
        let before = try cache.usedBytes()
        let reader = try IndexReader(cache: cache, key: Sample.key())
        // Somebody reads: nothing happens.
        expectCode(.locked) { try cache.evictPatches(indexID: Sample.key().id) }
        try Sample.verify(reader, frames: 300)
        #expect(try !files(path).keys.contains("sample.pat"))
        withExtendedLifetime(reader) {}
        let other = try directory.cache("other")
        try FileManager.default.removeItem(atPath: other.path)
        try FileManager.default.copyItem(atPath: cache.path, toPath: other.path)
        let freed = try other.evictPatches(indexID: Sample.key().id)
        #expect(freed == 6 * 4120 + 300 * 128 - 4120 - 75 * 128)
        #expect(try other.usedBytes() <= before - freed + 1000)
        let now = try files(other.indexPath(Sample.key()))
        #expect(now.keys.sorted() == (0..<6).map { "00000\($0).seg" } + ["manifest.json", "sample.pat"])
        #expect(now["sample.pat"] == (try files(tokens.indexPath(Sample.key()))["sample.pat"]))
        let slim = try IndexReader(cache: other, key: Sample.key())
        #expect(slim.patchFrames.count == 75 && slim.manifest.state == "complete")
        try Sample.verify(slim, frames: 300)
        // Once more is nothing.
        #expect(try other.evictPatches(indexID: Sample.key().id) == 0)
    }

    /// What a crash between the manifest and the removals leaves is cleared, and read over until then.
    @Test func leftoversOfAnEvictionDoNoHarm() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(300, to: cache, keep: .sample, segment: 50)
        let path = cache.indexPath(Sample.key())
        let clean = try files(path)
        try overwrite(path + "/000003.pat", [1, 2, 3])
        try overwrite(path + "/000001.pat.77.tmp", [1, 2, 3])
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 300)
        cache.tidy(indexID: Sample.key().id)
        #expect(try files(path) == clean)
    }

    @Test func aWriterWaitsForNobodyWhoReads() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(6, to: cache)
        let reader = try IndexReader(cache: cache, key: Sample.key())
        let sampled = try directory.cache("sample")
        try Sample.write(6, to: sampled, keep: .sample)
        let other = try IndexReader(cache: sampled, key: Sample.key())
        try Sample.write(12, to: cache)
        try Sample.write(12, to: sampled, keep: .sample)
        try Sample.verify(reader, frames: 6)
        // The file it reads from has another name no more, and is the old one all the same.
        try Sample.verify(other, frames: 6)
        try Sample.verify(try IndexReader(cache: sampled, key: Sample.key()), frames: 12)
    }

    @Test func recordsWithoutPatchesNeedNone() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        let layout = try RecordLayout(parts: [RecordPart(name: "token", bytes: 8, format: "u8[8]")])
        #expect(!layout.hasPatches && layout.patchBytes == 0)
        let writer = try IndexWriter(cache: cache, key: Sample.key(), layout: layout)
        let bytes = [UInt8](repeating: 3, count: 8)
        try bytes.withUnsafeBytes { try writer.append(Sample.entry(0), parts: [$0]) }
        try writer.finish {
            Manifest(
                key: Sample.key(), layout: layout, name: "", path: "", fileSize: 0, modified: 0, inode: 0,
                timeBase: [1, 1], contents: $0, created: "", modelName: "")
        }
        let reader = try IndexReader(cache: cache, key: Sample.key())
        #expect(reader.manifest.patches == PatchFiles(kept: .none) && reader.patchFrames.isEmpty)
        #expect(try files(cache.indexPath(Sample.key())).keys.sorted() == ["000000.seg", "manifest.json"])
    }
}
