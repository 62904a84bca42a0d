import Foundation
import Store
import Testing

/// Reading every record of an index in large pieces.
@Suite struct IndexScanTests {
    private static let frames = 11

    /// Three segments of four, four and three frames.
    private func index(_ directory: TemporaryDirectory) throws -> (cache: CacheDirectory, id: String) {
        let cache = try directory.cache()
        try Sample.write(Self.frames, to: cache)
        return (cache, Sample.key().id)
    }

    private func read(_ scan: IndexScan, records: Int) throws -> [[UInt8]] {
        let layout = scan.manifest.layout
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: records * layout.frameBytes, alignment: 64)
        defer { buffer.deallocate() }
        var found: [[UInt8]] = []
        for segment in scan.manifest.segments.indices {
            try scan.read(segment: segment, parts: [1], buffer: buffer) { piece in
                #expect(piece.count <= records && piece.stride == layout.frameBytes && piece.first == found.count)
                for record in 0..<piece.count {
                    #expect(piece.gridTime(record) == Double(piece.first + record))
                    // A head of one part is 48 bytes.
                    let part = UnsafeRawBufferPointer(start: piece.base + record * piece.stride + 48, count: 10)
                    found.append(Array(part))
                }
            }
        }
        return found
    }

    @Test(arguments: [1, 2, 3, 4, 100]) func `every record comes once, in order, whatever the buffer holds`(
        records: Int
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (cache, id) = try index(directory)
        let scan = try IndexScan(cache: cache, indexID: id)
        #expect(try read(scan, records: records) == (0..<Self.frames).map { Sample.bytes($0, part: 1) })
        for frame in 0..<Self.frames { #expect(try scan.entry(of: frame) == Sample.entry(frame)) }
        #expect(scan.bufferBytes % scan.manifest.layout.frameBytes == 0 && scan.bufferBytes > 0)
    }

    /// Whatever byte of a segment changes: either it is found, or it is of no part that was asked for.
    @Test func `a changed byte is found and named`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (cache, id) = try index(directory)
        let path = cache.path(indexID: id) + "/000001.seg"
        let whole = try contents(path)
        let layout = try Sample.layout
        let clean = (0..<Self.frames).map { Sample.bytes($0, part: 1) }
        for place in stride(from: 0, to: whole.count, by: 7) {
            var bytes = whole
            bytes[place] ^= 4
            try overwrite(path, bytes)
            let scan = try IndexScan(cache: cache, indexID: id)
            do {
                let found = try read(scan, records: 3)
                #expect(found == clean)
                // The padding behind the parts, and the zeros of the footer.
                let offset = place - 4096
                let isPadding = offset >= 0 && offset < 4 * layout.frameBytes && offset % layout.frameBytes >= 58
                #expect(isPadding, "byte \(place) changed and nobody said so")
            } catch let error as StoreError {
                #expect(error.code == .damaged || error.code == .newerFormat, "\(place): \(error)")
                #expect(error.message.contains("000001.seg"))
            }
        }
        try overwrite(path, whole)
        #expect(try read(try IndexScan(cache: cache, indexID: id), records: 3) == clean)
    }

    @Test func `missing and short files, parts and frames that are not there`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (cache, id) = try index(directory)
        let scan = try IndexScan(cache: cache, indexID: id)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: scan.bufferBytes, alignment: 64)
        defer { buffer.deallocate() }
        expectCode(.badKey) { try scan.read(segment: 0, parts: [0], buffer: buffer) { _ in } }
        expectCode(.badKey) { try scan.read(segment: 0, parts: [2], buffer: buffer) { _ in } }
        expectCode(.badKey) { try scan.read(segment: 3, parts: [1], buffer: buffer) { _ in } }
        let small = UnsafeMutableRawBufferPointer(rebasing: buffer[..<10])
        expectCode(.badKey) { try scan.read(segment: 0, parts: [1], buffer: small) { _ in } }
        expectCode(.badKey) { _ = try scan.entry(of: Self.frames) }
        expectCode(.badKey) { _ = try scan.entry(of: -1) }
        let path = cache.path(indexID: id) + "/000002.seg"
        let whole = try contents(path)
        try overwrite(path, Array(whole.dropLast()))
        expectCode(.damaged) { try scan.read(segment: 2, parts: [1], buffer: buffer) { _ in } }
        try overwrite(path, try contents(cache.path(indexID: id) + "/000001.seg"))
        expectCode(.damaged) { try scan.read(segment: 2, parts: [1], buffer: buffer) { _ in } }
        try FileManager.default.removeItem(atPath: path)
        expectCode(.notFound) { try scan.read(segment: 2, parts: [1], buffer: buffer) { _ in } }
        expectCode(.badKey) { _ = try IndexScan(cache: cache, indexID: "../x") }
        expectCode(.notFound) { _ = try IndexScan(cache: cache, indexID: String(repeating: "0", count: 32)) }
    }

    @Test func `an index that is removed is gone`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (cache, id) = try index(directory)
        let scan = try IndexScan(cache: cache, indexID: id)
        #expect(try read(scan, records: 4).count == Self.frames)
        try cache.remove(indexID: id)
        expectCode(.notFound) { _ = try read(scan, records: 4) }
        expectCode(.notFound) { _ = try IndexScan(cache: cache, indexID: id) }
    }
}
