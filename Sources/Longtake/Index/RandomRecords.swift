internal import Foundation
internal import Models
internal import Store
internal import Tensors

/// Fills an index with random records, to measure sizes and speeds of long recordings without encoding.
///
/// Answers about it are noise.
package enum RandomRecords {
    /// The index that was filled.
    package struct Filled: Sendable {
        /// Recording ID.
        package let id: String
        /// Index ID.
        package let index: String
        /// Number of frames.
        package let frames: Int
        /// Size of the index in bytes.
        package let bytes: Int64
    }

    /// Creates the index of a recording that does not exist; an existing complete one is kept.
    ///
    /// - Parameters:
    ///   - frames: number of frames, one per second.
    ///   - progress: gets the number of frames written so far.
    /// - Throws: `LongtakeError` for an invalid number of frames; `StoreError`.
    package static func fill(
        _ model: LoadedModel, _ library: Library, frames: Int, seed: UInt64 = 1, options: IndexOptions = IndexOptions(),
        cancellation: Cancellation = Cancellation(), progress: (Int) -> Void = { _ in }
    ) throws -> Filled {
        guard (1...10_000_000).contains(frames) else {
            throw LongtakeError(code: .badRequest, message: "\(frames) frames; use 1 to 10000000")
        }
        let name = "\(frames) random records, seed \(seed)"
        let key = try Indexer(model, library: library, options: options).key(
            content: ContentHash.sha256(Array(name.utf8)))
        if let known = try? IndexReader(cache: library.cache, key: key), known.manifest.indexState == .complete {
            return filled(known.manifest)
        }
        let layout = try RecordCodec(kind: options.record, model: model.llava).layout()
        let keep = options.keep?.keeping ?? .all
        let writer = try IndexWriter(cache: library.cache, key: key, layout: layout, keep: keep)
        let budget = CacheBudget(cache: library.cache, limit: try library.cacheLimit())
        writer.beforeSegment = { first, count in
            let count = min(count, frames - first)
            try budget.makeRoom(
                for: IndexWriter.bytes(first: first, frames: count, layout: layout, keep: keep), indexID: key.id)
        }
        do {
            for index in writer.nextFrame..<max(frames, writer.nextFrame) {
                var generator = SplitMix64(state: seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
                let parts = layout.parts.map { Self.bytes(of: $0, &generator) }
                let entry = FrameEntry(
                    index: UInt32(index), gridTime: Double(index), pts: Int64(index), ptsSeconds: Double(index))
                try Self.withPointers(to: parts[...], []) { try writer.append(entry, parts: $0) }
                if index % 100 == 99 { progress(index + 1) }
                try cancellation.check()
            }
        } catch {
            _ = try writer.suspend()
            throw error
        }
        var manifest: Manifest?
        try writer.finish { contents in
            let made = Manifest(
                key: key, layout: layout, name: name, path: name, pathBase64: nil, fileSize: 0, modified: 0, inode: 0,
                timeBase: [1, 1], contents: contents, state: IndexState.complete.rawValue,
                warnings: ["random: these answers are noise"], counters: [:], duration: Double(frames),
                created: Date().formatted(.iso8601), modelName: model.name)
            manifest = made
            return made
        }
        progress(frames)
        guard let manifest else { throw LongtakeError(code: .badRequest, message: "no manifest was written") }
        return filled(manifest)
    }

    private static func filled(_ manifest: Manifest) -> Filled {
        Filled(
            id: Library.id(content: manifest.key.content), index: manifest.key.id, frames: manifest.frames,
            bytes: manifest.bytes)
    }

    private static func withPointers(
        to parts: ArraySlice<[UInt8]>, _ done: [UnsafeRawBufferPointer],
        _ body: ([UnsafeRawBufferPointer]) throws -> Void
    ) rethrows {
        guard let first = parts.first else { return try body(done) }
        try first.withUnsafeBytes { try withPointers(to: parts.dropFirst(), done + [$0], body) }
    }

    /// Returns random values between -1 and 1 in the part's format; scales of int8 are all 1/128.
    private static func bytes(of part: RecordPart, _ generator: inout SplitMix64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: part.bytes) { target, count in
            let raw = UnsafeMutableRawBufferPointer(target)
            if part.format.hasPrefix("i8") {
                for index in 0..<part.bytes / 8 {
                    raw.storeBytes(of: generator.next(), toByteOffset: 8 * index, as: UInt64.self)
                }
                for index in part.bytes / 8 * 8..<part.bytes {
                    target[index] = UInt8(truncatingIfNeeded: generator.next())
                }
            } else if part.format.hasPrefix("bf16") {
                for index in 0..<part.bytes / 2 {
                    let bits = Self.unit(&generator).bitPattern >> 16
                    raw.storeBytes(of: UInt16(truncatingIfNeeded: bits), toByteOffset: 2 * index, as: UInt16.self)
                }
            } else {
                for index in 0..<part.bytes / 4 {
                    let isScale = part.name.hasSuffix("scale") || part.name.hasSuffix("scales")
                    let value = isScale ? 1 / 128 : Self.unit(&generator)
                    raw.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
                }
            }
            count = part.bytes
        }
    }

    private static func unit(_ generator: inout SplitMix64) -> Float {
        Float(Int32(truncatingIfNeeded: generator.next())) / Float(1 << 31)
    }
}
