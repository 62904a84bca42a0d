import Foundation
import Testing

import Store

@Suite struct SegmentDamageTests {
    /// An index of two segments, 4 and 1 frames.
    private func index() throws -> (TemporaryDirectory, CacheDirectory, String) {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache)
        return (directory, cache, cache.indexPath(Sample.key()))
    }

    /// What a reader makes of the index: true when all is as written, false when the damage was reported.
    private func intact(_ cache: CacheDirectory) throws -> Bool {
        do {
            let reader = try IndexReader(cache: cache, key: Sample.key())
            try Sample.verify(reader, frames: 5)
            return true
        } catch let error as StoreError {
            try #require(error.code == .damaged || error.code == .newerFormat, "\(error)")
            try #require(error.code == .newerFormat || error.message.contains("index the recording again"))
            return false
        }
    }

    @Test(arguments: [("000000.seg", 64, 58), ("000000.pat", 128, 96)])
    func everyFlippedByteOfASegmentIsDetectedOrHarmless(name: String, record: Int, used: Int) throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let file = path + "/" + name
        let good = try contents(file)
        var harmless: [Int] = []
        for offset in good.indices {
            var bad = good
            bad[offset] ^= UInt8(1 << (offset % 8))
            try overwrite(file, bad)
            if try intact(cache) { harmless.append(offset) }
            // A check of all data finds even what no reader meets.
            let found = try cache.check(readData: true).damage
            try #require(!found.isEmpty && found.allSatisfy { $0.file == file }, "byte \(offset): \(found)")
        }
        // Only the padding after the parts.
        let padding = (0..<4).flatMap { number in (used..<record).map { 4096 + record * number + $0 } }
        #expect(harmless == padding)
    }

    @Test func everyFlippedByteOfTheSampleIsDetectedOrHarmless() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache, keep: .sample)
        let file = cache.indexPath(Sample.key()) + "/sample.pat"
        let good = try contents(file)
        var harmless: [Int] = []
        for offset in good.indices {
            var bad = good
            bad[offset] ^= UInt8(1 << (offset % 8))
            try overwrite(file, bad)
            if try intact(cache) { harmless.append(offset) }
        }
        #expect(harmless == (0..<5).flatMap { number in (96..<128).map { 4096 + 128 * number + $0 } })
    }

    @Test func everyFlippedByteOfTheManifestIsDetectedOrHarmless() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let file = path + "/manifest.json"
        let good = try contents(file)
        let before = try IndexReader(cache: cache, key: Sample.key()).manifest
        for offset in good.indices {
            for bit in 0..<8 {
                var bad = good
                bad[offset] ^= UInt8(1 << bit)
                try overwrite(file, bad)
                if try intact(cache) {
                    #expect(try IndexReader(cache: cache, key: Sample.key()).manifest == before)
                }
            }
        }
    }

    @Test func truncationAtEveryLengthIsRejected() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let manifest = try contents(path + "/manifest.json")
        for name in ["000000.seg", "000000.pat", "manifest.json"] {
            let good = try contents(path + "/" + name)
            // The manifest ends in a line feed, which nothing needs.
            for length in 0..<(good.count - (name == "manifest.json" ? 1 : 0)) {
                try overwrite(path + "/" + name, Array(good.prefix(length)))
                try #require(try !intact(cache), "\(name) cut to \(length) bytes")
            }
            try overwrite(path + "/" + name, good)
        }
        // And longer by anything.
        let file = path + "/000000.seg"
        let good = try contents(file)
        for extra in [1, 24, 128] {
            try overwrite(file, good + [UInt8](repeating: 0, count: extra))
            #expect(try !intact(cache))
        }
        try FileManager.default.removeItem(atPath: file)
        #expect(try !intact(cache))
        #expect(try contents(path + "/manifest.json") == manifest)
    }

    /// What a file system may leave after a power cut: the right length, and zeros from some place on, or in one sector.
    @Test(arguments: [
        ("000000.seg", PatchKeeping.all), ("000000.pat", .all), ("sample.pat", .sample), ("manifest.json", .all),
    ])
    func zerosAreDetected(name: String, keep: PatchKeeping) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache, keep: keep)
        let file = cache.indexPath(Sample.key()) + "/" + name
        let good = try contents(file)
        let before = try IndexReader(cache: cache, key: Sample.key()).manifest
        var ranges = stride(from: 0, to: good.count, by: 64).map { $0..<good.count }
        for sector in [512, 4096] {
            ranges += stride(from: 0, to: good.count, by: sector).map { $0..<min($0 + sector, good.count) }
        }
        var detected = 0
        for range in ranges {
            var bad = good
            for offset in range { bad[offset] = 0 }
            try overwrite(file, bad)
            if try intact(cache) {
                // The line feed at the end of the manifest is needed by nobody.
                let same = bad == good || name == "manifest.json" && bad.dropLast() == good.dropLast()
                try #require(same, "\(name), zeros in \(range)")
                try #require(try IndexReader(cache: cache, key: Sample.key()).manifest == before)
            } else {
                detected += 1
            }
        }
        #expect(detected > ranges.count / 2)
    }

    @Test func writerRepairsACutSegment() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let good = try files(path)
        for cut in stride(from: 0, to: 4376, by: 331) {
            let file = path + "/000000.seg"
            try overwrite(file, Array(try contents(file).prefix(cut)))
            let writer = try Sample.writer(cache)
            #expect(writer.framesDone == 0)
            writer.discard()
            expectCode(.notFound) { _ = try IndexReader(cache: cache, key: Sample.key()) }
            try Sample.write(5, to: cache)
            #expect(try files(path) == good)
            let patches = path + "/000001.pat"
            try overwrite(patches, Array(try contents(patches).prefix(cut)))
            try Sample.write(5, to: cache)
            #expect(try files(path) == good)
        }
    }

    @Test func damageNamesSegmentFrameAndTheWayOut() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let file = path + "/000000.pat"
        var bytes = try contents(file)
        bytes[4096 + 2 * 128 + 60] ^= 1
        try overwrite(file, bytes)
        let reader = try IndexReader(cache: cache, key: Sample.key())
        let message = expectCode(.damaged) { _ = try Sample.read(reader, 2, part: 0) }
        #expect(
            message.contains("000000.pat") && message.contains("frame 2")
                && message.contains("index the recording again"))
    }

    @Test func newerVersionsAreRefusedNamingBoth() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        func namesBoth(_ body: () throws -> Void) {
            let message = expectCode(.newerFormat, body)
            #expect(message.contains("version 4") && message.contains("version 3"))
        }
        namesBoth { _ = try IndexReader(cache: cache, key: Sample.key(version: 4)) }
        namesBoth { _ = try Sample.writer(cache, key: Sample.key(version: 4)) }
        // A whole segment of version 4.
        let file = path + "/000000.seg"
        let good = try contents(file)
        var newer = good
        newer[8] = 4
        var header = Array(newer.prefix(4088))
        header.put(Checksum.of(header))
        newer.replaceSubrange(0..<4096, with: header)
        try overwrite(file, newer)
        namesBoth { _ = try IndexReader(directory: path) }
        namesBoth { _ = try Sample.writer(cache) }
        #expect(try contents(file) == newer)
        try overwrite(file, good)
        let manifest = String(decoding: try contents(path + "/manifest.json"), as: UTF8.self)
        let changed = manifest.replacingOccurrences(of: "\"format\":2", with: "\"format\":4")
        try overwrite(path + "/manifest.json", Array(changed.utf8))
        namesBoth { _ = try IndexReader(directory: path) }
    }

    @Test func aForgedHeaderCannotTrap() throws {
        let (directory, cache, path) = try index()
        defer { withExtendedLifetime(directory) {} }
        let file = path + "/000000.seg"
        let good = try contents(file)
        // Valid checksums, impossible numbers.
        for (from, to) in [
            (#""frameBytes":64"#, #""frameBytes":0"#), (#""frameBytes":64"#, #""frameBytes":-64"#),
            (#""patchBytes":128"#, #""patchBytes":0"#), (#""stream":"patch""#, #""stream":"frame""#),
            (#""bytes":48"#, #""bytes":9223372036854775807"#), (#""bytes":48"#, #""bytes":-9"#),
            (#""bytes":48"#, #""bytes":1e99"#), (#""stream":0"#, #""stream":"x""#),
        ] {
            let length = Int(good.withUnsafeBytes { $0.u32(28) })
            let json = String(decoding: good[32..<(32 + length)], as: UTF8.self)
            try #require(json.contains(from))
            let forged = Array(json.replacingOccurrences(of: from, with: to).utf8)
            var header = Array(good.prefix(28))
            header.put(UInt32(forged.count))
            header += forged
            header += [UInt8](repeating: 0, count: 4088 - header.count)
            header.put(Checksum.of(header))
            try overwrite(file, header + good.dropFirst(4096))
            #expect(try !intact(cache))
        }
        for (offset, value) in [(20, UInt32(0)), (20, .max), (28, .max), (28, 5000), (24, .max)] {
            var header = Array(good.prefix(4088))
            withUnsafeBytes(of: value.littleEndian) { header.replaceSubrange(offset..<(offset + 4), with: $0) }
            header.put(Checksum.of(header))
            try overwrite(file, header + good.dropFirst(4096))
            #expect(try !intact(cache))
        }
    }
}
