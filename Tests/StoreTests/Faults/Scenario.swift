import Foundation
import Testing

import Store

/// Something that is done to a cache, and what must hold whenever it was ended in the middle.
struct Scenario: Sendable, CustomTestStringConvertible {
    static let frames = 10

    /// How to tell that nothing is lost.
    enum Judge: Sendable, Equatable {
        /// A writer continues from at least this many frames.
        case sealed(Int)
        /// The index can be read, with all frames.
        case readable
        /// It can be read, or is gone.
        case readableOrGone
        /// Two damaged frames are dropped by a repair, if they are still there.
        case repaired(Int)
    }

    let name: String
    var keep = PatchKeeping.all
    let judge: Judge
    /// Makes what is there before; nil where there is no cache yet.
    var prepare: (@Sendable (CacheDirectory) throws -> Void)?
    /// Opens the cache at a path and does it; says how many frames are sealed.
    let run: @Sendable (String, (Int) -> Void) throws -> Void
    /// Does it once more, or what is left of it.
    var finish: (@Sendable (CacheDirectory) throws -> Void)?

    var testDescription: String { name }

    /// Appends the frames and says after each how many are sealed.
    static func write(_ cache: CacheDirectory, keep: PatchKeeping, _ said: (Int) -> Void) throws {
        let writer = try Sample.writer(cache, keep: keep)
        defer { writer.discard() }
        said(writer.framesDone)
        for frame in writer.framesDone..<max(frames, writer.framesDone) {
            try Sample.append(writer, frame: frame)
            said(writer.framesDone)
        }
        try Sample.finish(writer)
        said(writer.framesDone)
    }

    static let all: [Scenario] =
        [PatchKeeping.all, .sample].flatMap { keep in
            [
                Scenario(
                    name: "index, \(keep)", keep: keep, judge: .sealed(0),
                    run: { try write(CacheDirectory(path: $0), keep: keep, $1) }),
                Scenario(
                    name: "grow a short segment, \(keep)", keep: keep, judge: .sealed(5),
                    prepare: { try Sample.write(5, to: $0, keep: keep) },
                    run: { try write(CacheDirectory(path: $0), keep: keep, $1) }),
                Scenario(
                    name: "resume after 6 frames, \(keep)", keep: keep, judge: .sealed(6),
                    prepare: { cache in
                        let writer = try Sample.writer(cache, keep: keep)
                        for frame in 0..<6 { try Sample.append(writer, frame: frame) }
                        try #require(try writer.suspend() == 6)
                    },
                    run: { try write(CacheDirectory(path: $0), keep: keep, $1) }),
            ]
        } + [
            Scenario(
                name: "rebuild", judge: .readable, prepare: { try Sample.write(frames, to: $0) },
                run: { path, _ in
                    let cache = try CacheDirectory(path: path)
                    let previous = try cache.setAside(indexID: Sample.key().id)
                    try write(cache, keep: .all) { _ in }
                    try previous?.drop()
                }),
            Scenario(
                name: "put back", judge: .readable, prepare: { try Sample.write(frames, to: $0) },
                run: { path, _ in
                    let cache = try CacheDirectory(path: path)
                    let previous = try cache.setAside(indexID: Sample.key().id)
                    let writer = try Sample.writer(cache)
                    for frame in 0..<5 { try Sample.append(writer, frame: frame) }
                    writer.discard()
                    try previous?.restore()
                }),
            Scenario(
                name: "repair", judge: .repaired(8),
                prepare: { cache in
                    try Sample.write(frames, to: cache)
                    let file = cache.indexPath(Sample.key()) + "/000002.seg"
                    var bytes = try contents(file)
                    bytes[4096 + 50] ^= 1
                    try overwrite(file, bytes)
                },
                run: { path, _ in _ = try CacheDirectory(path: path).repair() }),
            Scenario(
                name: "remove", judge: .readableOrGone, prepare: { try Sample.write(frames, to: $0) },
                run: { path, _ in try CacheDirectory(path: path).remove(indexID: Sample.key().id) }),
            Scenario(
                name: "shrink", judge: .readableOrGone, prepare: { try Sample.write(frames, to: $0) },
                run: { path, _ in _ = try CacheDirectory(path: path).shrink(to: 0) }),
            Scenario(
                name: "evict patches", keep: .sample, judge: .readable, prepare: { try Sample.write(frames, to: $0) },
                run: { path, _ in try CacheDirectory(path: path).evictPatches(indexID: Sample.key().id) },
                finish: { cache in
                    try cache.evictPatches(indexID: Sample.key().id)
                    cache.tidy(indexID: Sample.key().id)
                }),
        ]

    /// A folder with what is there before; its path, and that of the cache in it.
    func prepared(_ directory: TemporaryDirectory, _ name: String) throws -> (folder: String, cache: String) {
        let folder = directory.path + "/" + name
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        if let prepare { try prepare(try CacheDirectory(path: folder + "/cache")) }
        return (folder, folder + "/cache")
    }

    /// The files of the index after an undisturbed run.
    func wanted(_ directory: TemporaryDirectory) throws -> [String: [UInt8]] {
        let (folder, path) = try prepared(directory, "wanted")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try run(path) { _ in }
        let cache = try CacheDirectory(path: path)
        try finishUp(cache)
        return try files(cache.indexPath(Sample.key()))
    }

    private func finishUp(_ cache: CacheDirectory) throws {
        try finish?(cache)
        if finish == nil { try Sample.write(Self.frames, to: cache, keep: keep) }
    }

    /// Opens the cache and looks at what is left, then ends it; `sealed` frames were reported.
    func check(_ path: String, sealed: Int = 0, wanted: [String: [UInt8]], _ what: String) throws {
        let cache = try CacheDirectory(path: path)
        var damage = try cache.check(readData: true).damage
        var least = 0
        if case .repaired(let frames) = judge {
            try #require(damage.allSatisfy { $0.file.hasSuffix("/000002.seg") && $0.frame == 8 }, "\(what): \(damage)")
            if !damage.isEmpty { _ = try cache.repair() }
            damage = try cache.check(readData: true).damage
            least = frames
        }
        try #require(damage.isEmpty, "\(what): \(damage)")
        do {
            let reader = try IndexReader(cache: cache, key: Sample.key())
            try Sample.verify(reader, frames: reader.entries.count)
            if judge == .readable || judge == .readableOrGone { try #require(reader.entries.count == Self.frames) }
        } catch let error as StoreError where error.code == .notFound {
            try #require(judge != .readable, "\(what): \(error)")
        }
        if case .sealed(let frames) = judge { least = frames }
        if least > 0 || sealed > 0 {
            let writer = try Sample.writer(cache, keep: keep)
            defer { writer.discard() }
            try #require(writer.framesDone >= max(least, sealed), "\(what): \(writer.framesDone) of \(sealed) frames")
        }
        try finishUp(cache)
        let now = try files(cache.indexPath(Sample.key()))
        try #require(now.keys.sorted() == wanted.keys.sorted(), "\(what)")
        try #require(now == wanted, "\(what): other bytes")
        try Sample.verify(try IndexReader(cache: cache, key: Sample.key()), frames: Self.frames)
        let names = try FileManager.default.contentsOfDirectory(atPath: cache.path + "/indexes")
        try #require(names == [Sample.key().id], "\(what): \(names)")
    }
}
