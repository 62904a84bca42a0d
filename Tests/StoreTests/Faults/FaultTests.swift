import Foundation
import Glibc
import Testing

import Store

/// Every system call of a run fails, once and for ever, with each error that disks give.
@Suite struct FaultTests {
    private static let frames = 10

    /// Appends and finishes; the frames that were reported sealed when it ended, and what ended it.
    private func run(_ cache: CacheDirectory, keep: PatchKeeping) throws -> (sealed: Int, error: StoreError?) {
        var writer: IndexWriter?
        do {
            let opened = try Sample.writer(cache, keep: keep)
            writer = opened
            for frame in opened.framesDone..<Self.frames { try Sample.append(opened, frame: frame) }
            try Sample.finish(opened)
            return (Self.frames, nil)
        } catch let error as StoreError {
            let sealed = writer?.framesDone ?? 0
            writer?.discard()
            return (sealed, error)
        }
    }

    @Test(arguments: [PatchKeeping.all, .sample])
    func everyCallFails(keep: PatchKeeping) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let whole = try directory.cache("whole")
        let plain = FaultPlan(below: whole.path)
        try plain.during { _ = try run(whole, keep: keep) }
        let wanted = try files(whole.indexPath(Sample.key()))
        var (runs, failed) = (0, 0)
        for operation in FaultPlan.Operation.allCases {
            let count = plain.count(operation)
            try #require(count > 0, "\(operation) is never called")
            for number in 0..<count {
                var effects: [FaultPlan.Effect] = [EIO, ENOSPC, EROFS, EMFILE].map { .error($0) }
                if operation == .write { effects.append(.short) }
                for effect in effects {
                    for sticky in [false, true] {
                        let cache = try directory.cache("c\(runs)")
                        runs += 1
                        let path = cache.indexPath(Sample.key())
                        let plan = FaultPlan(
                            below: cache.path + "/indexes", operation: operation, number: number, effect: effect,
                            sticky: sticky)
                        let (sealed, error) = try plan.during { try run(cache, keep: keep) }
                        let what = "\(operation) \(number) \(effect) sticky \(sticky)"
                        if error != nil { failed += 1 }
                        let expected: [StoreError.Code] = [.io, .noSpace]
                        try #require(error.map { expected.contains($0.code) } ?? true, "\(what): \(error as Any)")
                        if effect == .short { try #require(error == nil, "\(what)") }
                        // Nothing of it is left lying about, what was sealed is whole.
                        if Posix.exists(path) {
                            let left = try files(path).keys.contains { $0.hasSuffix(".tmp") }
                            try #require(!left || operation == .unlink, "\(what)")
                        }
                        try #require(try cache.check(readData: true).damage.isEmpty, "\(what)")
                        if let reader = try? IndexReader(cache: cache, key: Sample.key()) {
                            try Sample.verify(reader, frames: Self.frames)
                        }
                        let again = try Sample.writer(cache, keep: keep)
                        try #require(again.framesDone >= sealed, "\(what)")
                        again.discard()
                        try Sample.write(Self.frames, to: cache, keep: keep)
                        try #require(try files(path) == wanted, "\(what)")
                        try FileManager.default.removeItem(atPath: cache.path)
                    }
                }
            }
        }
        #expect(failed > runs / 2)
        print("\(keep): \(runs) runs with a fault, \(failed) of them failed")
    }

    /// A disk that takes bytes and gives back others: nothing of that gets a name.
    @Test func whatCannotBeReadBackIsNotPublished() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        let writer = try Sample.writer(cache)
        for frame in 0..<3 { try Sample.append(writer, frame: frame) }
        let path = cache.indexPath(Sample.key())
        let temporary = try #require(try files(path).keys.first { $0.hasPrefix("000000.pat.") })
        let handle = try #require(FileHandle(forUpdatingAtPath: path + "/" + temporary))
        try handle.seek(toOffset: 4096 + 128 + 60)
        try handle.write(contentsOf: Data([0xFF]))
        try handle.close()
        let message = expectCode(.io) { try Sample.append(writer, frame: 3) }
        #expect(message.contains("read back") && message.contains("frame 1"))
        #expect(writer.framesDone == 0)
        #expect(try files(path).isEmpty)
        for frame in 0..<5 { try Sample.append(writer, frame: frame) }
        try Sample.finish(writer)
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: 5)
    }

    /// Evicting patches fails at any call: the index has all of them still, or the sample.
    @Test func evictionFailsWhole() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let made = try directory.cache("made")
        try Sample.write(300, to: made, segment: 100)
        let plain = FaultPlan(below: directory.path + "/counted")
        func copy(_ name: String) throws -> CacheDirectory {
            try FileManager.default.copyItem(atPath: made.path, toPath: directory.path + "/" + name)
            return try directory.cache(name)
        }
        let counted = try copy("counted")
        _ = try plain.during { try counted.evictPatches(indexID: Sample.key().id) }
        for operation in FaultPlan.Operation.allCases {
            // The records' writes are all alike.
            for number in 0..<min(plain.count(operation), 12) {
                for sticky in [false, true] {
                    let cache = try copy("\(operation)-\(number)-\(sticky)")
                    let plan = FaultPlan(
                        below: cache.path + "/indexes", operation: operation, number: number, effect: .error(ENOSPC),
                        sticky: sticky)
                    let failed = plan.during { (try? cache.evictPatches(indexID: Sample.key().id)) == nil }
                    let reader = try IndexReader(cache: cache, key: Sample.key())
                    try Sample.verify(reader, frames: 300)
                    try #require(reader.patchFrames.count == 75 || reader.patchFrames.count == 300)
                    if reader.hasAllPatches { try #require(failed) }
                    let left = try files(cache.indexPath(Sample.key())).keys.contains { $0.hasSuffix(".tmp") }
                    try #require(!left || operation == .unlink)
                    try FileManager.default.removeItem(atPath: cache.path)
                }
            }
        }
    }

    /// 64 MB of memory for a disk: it fills up in the middle of a segment.
    @Test(.enabled(if: Self.canMount(), "a tmpfs cannot be mounted here"))
    func aFullDiskKeepsWhatIsSealed() throws {
        let directory = try TemporaryDirectory()
        try #require(mount("tmpfs", directory.path, "tmpfs", 0, "size=64m,mode=700") == 0)
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let cache = try directory.cache()
        let layout = try RecordLayout(parts: [
            RecordPart(name: "token", bytes: 8192, format: "u8"),
            RecordPart(name: "patches", bytes: 300_000, format: "u8", stream: .patch),
        ])
        let key = Sample.key()
        let parts = [[UInt8](repeating: 1, count: 8192), [UInt8](repeating: 2, count: 300_000)]
        func append(_ writer: IndexWriter, _ frame: Int) throws {
            try parts[0].withUnsafeBytes { a in
                try parts[1].withUnsafeBytes { b in try writer.append(Sample.entry(frame), parts: [a, b]) }
            }
        }
        let writer = try IndexWriter(cache: cache, key: key, layout: layout, framesPerSegment: 16)
        let message = expectCode(.noSpace) { for frame in 0..<1000 { try append(writer, frame) } }
        #expect(message.contains("bytes are free"))
        let sealed = writer.framesDone
        #expect(sealed > 150 && sealed % 16 == 0)
        #expect(try !files(cache.indexPath(key)).keys.contains { $0.hasSuffix(".tmp") })
        #expect(try cache.check(readData: true).damage.isEmpty)
        writer.discard()
        let again = try IndexWriter(cache: cache, key: key, layout: layout, framesPerSegment: 16)
        #expect(again.framesDone == sealed)
        try again.finish {
            Manifest(
                key: key, layout: layout, name: "n", path: "p", fileSize: 1, modified: 1, inode: 1, timeBase: [1, 1],
                contents: $0, state: "partial", created: "", modelName: "")
        }
        let reader = try IndexReader(cache: cache, key: key)
        var buffer = [UInt8](repeating: 0, count: 300_000)
        try buffer.withUnsafeMutableBytes { try reader.read(part: 1, frame: sealed - 1, into: $0) }
        #expect(buffer == parts[1])
    }

    private static func canMount() -> Bool {
        guard geteuid() == 0, let directory = try? TemporaryDirectory() else { return false }
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=64k") == 0 else { return false }
        umount(directory.path)
        return true
    }

    /// A cache on a file system that can only be read answers, and says what it cannot do.
    @Test(.enabled(if: Self.canMount(), "a tmpfs cannot be mounted here"))
    func aReadOnlyCacheIsRead() throws {
        let directory = try TemporaryDirectory()
        try #require(mount("tmpfs", directory.path, "tmpfs", 0, "size=8m,mode=700") == 0)
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let path = directory.path + "/cache"
        do {
            let cache = try CacheDirectory(path: path)
            try Sample.write(6, to: cache)
            try Sample.write(6, to: cache, key: Sample.key("bare"))
            // As another program might have copied it.
            try FileManager.default.removeItem(atPath: cache.indexPath(Sample.key("bare")) + "/.readers")
        }
        try #require(mount("tmpfs", directory.path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), "size=8m,mode=700") == 0)
        let cache = try CacheDirectory(path: path)
        for key in [Sample.key(), Sample.key("bare")] {
            cache.touchAsked(indexID: key.id)
            try Sample.verify(try IndexReader(cache: cache, key: key), frames: 6)
        }
        let check = try cache.check(readData: true)
        #expect(check.damage.isEmpty && check.indexes == 2 && check.bytesRead > 0)
        let message = expectCode(.io) { _ = try Sample.writer(cache, key: Sample.key("new")) }
        #expect(message.contains(cache.path))
    }
}

/// What the tests ask of the file system.
enum Posix {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
