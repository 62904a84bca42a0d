import Foundation
import Glibc
import Testing

import Store

/// A directory of its own that vanishes with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "longtake-store-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func cache(_ name: String = "cache") throws -> CacheDirectory { try CacheDirectory(path: path + "/" + name) }
}

/// A small index: parts of 48 and 10 bytes, every byte a function of frame and position.
enum Sample {
    static let segment = 4
    static var layout: RecordLayout {
        get throws {
            try RecordLayout(parts: [
                RecordPart(name: "patches", bytes: 48, format: "f16[24]"),
                RecordPart(name: "pooled", bytes: 10, format: "u8[10]"),
            ])
        }
    }

    static func key(_ content: String = "abc", version: Int = 1) -> IndexKey {
        IndexKey(
            content: content, stream: 0, sampling: "1/1", preprocessing: "pad", model: "tower", record: "f16",
            formatVersion: version)
    }

    static func entry(_ frame: Int) -> FrameEntry {
        FrameEntry(
            index: UInt32(frame), gridTime: Double(frame), pts: Int64(frame) * 512 - 7,
            ptsSeconds: Double(frame) + 0.25)
    }

    static func bytes(_ frame: Int, part: Int) -> [UInt8] {
        (0..<(part == 0 ? 48 : 10)).map { UInt8(truncatingIfNeeded: frame * 31 + $0 * 7 + part * 101) }
    }

    static func manifest(
        _ frames: Int, _ segments: [SegmentSummary], key: IndexKey = Sample.key(), state: String = "complete",
        name: String = "talk.mp4"
    ) throws -> Manifest {
        Manifest(
            key: key, layout: try layout, name: name, path: "/videos/" + name, fileSize: 1234, modified: 99,
            inode: UInt64.max - 3, timeBase: [1, 512], frames: frames, segments: segments, state: state,
            warnings: ["one"], counters: ["late": 2], duration: 10.1, created: "2025-01-02T03:04:05Z",
            modelName: "tower")
    }

    static func writer(_ cache: CacheDirectory, key: IndexKey = Sample.key()) throws -> IndexWriter {
        try IndexWriter(cache: cache, key: key, layout: try layout, framesPerSegment: segment)
    }

    static func append(_ writer: IndexWriter, frame: Int) throws {
        let first = bytes(frame, part: 0)
        let second = bytes(frame, part: 1)
        try first.withUnsafeBytes { a in
            try second.withUnsafeBytes { b in try writer.append(entry(frame), parts: [a, b]) }
        }
    }

    static func finish(_ writer: IndexWriter, key: IndexKey = Sample.key(), state: String = "complete") throws {
        let layout = try layout
        try writer.finish { frames, segments in
            Manifest(
                key: key, layout: layout, name: "talk.mp4", path: "/videos/talk.mp4", fileSize: 1234, modified: 99,
                inode: 7, timeBase: [1, 512], frames: frames, segments: segments, state: state,
                created: "2025-01-02T03:04:05Z", modelName: "tower")
        }
    }

    /// Writes an index of `frames` frames in one go.
    static func write(_ frames: Int, to cache: CacheDirectory, key: IndexKey = Sample.key()) throws {
        let writer = try writer(cache, key: key)
        for frame in writer.framesDone..<max(frames, writer.framesDone) { try append(writer, frame: frame) }
        try finish(writer, key: key)
    }

    /// Reads every part of every frame and compares it; throws what the reader throws.
    static func verify(_ reader: IndexReader, frames: Int) throws {
        try #require(reader.entries == (0..<frames).map(entry))
        for frame in 0..<frames {
            for part in 0..<2 {
                var buffer = [UInt8](repeating: 0, count: reader.layout.parts[part].bytes)
                try buffer.withUnsafeMutableBytes { try reader.read(part: part, frame: frame, into: $0) }
                try #require(buffer == bytes(frame, part: part))
            }
        }
    }
}

func contents(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

func overwrite(_ path: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

/// The files of an index by name, without the lock.
func files(_ directory: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name != ".lock" {
        found[name] = try contents(directory + "/" + name)
    }
    return found
}

/// Expects a `StoreError` of this code and gives its message back.
@discardableResult
func expectCode(
    _ code: StoreError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) -> String {
    let error = #expect(throws: StoreError.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
    return error?.message ?? ""
}
