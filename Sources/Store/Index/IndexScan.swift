import Glibc

/// Reads selected parts of every record of an index, each segment sequentially.
///
/// Opening an index reads only its manifest; each segment file is opened once and read in large pieces. Made for
/// visiting all frames of many recordings; `IndexReader` reads single frames. While the scan exists nothing of the
/// index is evicted. It can be used from several threads at once, each with its own buffer.
public final class IndexScan: Sendable {
    /// The manifest of the index.
    public let manifest: Manifest
    private let directory: String
    private let lock: ReaderLock?
    /// The expected JSON of the segment headers; decoding it takes longer than reading a segment's records.
    private let known: SegmentFormat.KnownIdentity
    private let headBytes: Int

    /// Opens the index in `directory`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public init(directory: String) throws {
        self.directory = directory
        lock = try ReaderLock.shared(directory: directory)
        manifest = try ManifestFile.load(directory: directory)
        let layout = manifest.layout
        headBytes = layout.headBytes(of: .frame)
        known = try SegmentFormat.KnownIdentity(.init(key: manifest.key, layout: layout))
        var next = 0
        for summary in manifest.segments {
            // A frame index has 32 bits.
            guard summary.first == next, (1...SegmentFormat.maxFrames).contains(summary.count),
                next <= Int(UInt32.max) - summary.count,
                (0..<summary.count).contains(summary.reused ?? 0),
                IndexScan.fileBytes(summary, layout) == summary.bytes
            else { throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "segments") }
            next += summary.count
        }
        guard next == manifest.frames else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "number of frames")
        }
    }

    private static func fileBytes(_ summary: SegmentSummary, _ layout: RecordLayout) -> Int? {
        let (records, overflow) = summary.records.multipliedReportingOverflow(by: layout.frameBytes)
        let (all, tooMuch) = records.addingReportingOverflow(
            SegmentFormat.headerBytes + SegmentFormat.footerBytes
                + (summary.reused ?? 0) * SegmentFormat.referenceBytes)
        return overflow || tooMuch ? nil : all
    }

    /// Records that are contiguous in memory, with verified heads and requested parts.
    ///
    /// Valid only during the call they are passed to.
    public struct Records {
        /// Frame index of the first record, counted as if every frame of the segment had its own.
        public let first: Int
        /// Number of records.
        public let count: Int
        /// Address of the first record.
        public let base: UnsafeRawPointer
        /// Bytes from one record to the next.
        public let stride: Int

        /// Returns the sampling time of a record in seconds since the first displayed frame.
        public func gridTime(_ record: Int) -> Double {
            let bits = base.loadUnaligned(fromByteOffset: record * stride + 8, as: UInt64.self)
            return Double(bitPattern: UInt64(littleEndian: bits))
        }
    }

    /// The buffer size to use for `read`, in bytes: as many records as fit in 1 MiB, at least one.
    public var bufferBytes: Int {
        max(1, min((1 << 20) / max(manifest.layout.frameBytes, 1), IndexWriter.framesPerSegment))
            * manifest.layout.frameBytes
    }

    /// The frames of a segment in which several frames share a record.
    public struct SharedRecords {
        /// Per frame of the segment the number of its record in the segment.
        public let records: [Int]
        /// Per frame of the segment its sampling time in seconds since the first displayed frame.
        public let gridTimes: [Double]
    }

    /// Reads all of segment `number`; `body` gets its records in order, as many at a time as fit in the buffer.
    ///
    /// Returns which record each frame has; nil if every frame has its own.
    ///
    /// - Parameter parts: indices in the layout's parts, all of the frame stream.
    /// - Throws: `StoreError` `.damaged` naming file and frame, `.notFound` if the index was removed, `.badKey` for a
    /// part that does not exist or a buffer smaller than one record, `.io`; and errors thrown by `body`.
    @discardableResult
    public func read(
        segment number: Int, parts: [Int], buffer: UnsafeMutableRawBufferPointer, _ body: (Records) throws -> Void
    ) throws -> SharedRecords? {
        let layout = manifest.layout
        let available = layout.parts(of: .frame)
        let positions = parts.compactMap { available.firstIndex(of: $0) }
        guard manifest.segments.indices.contains(number), positions.count == parts.count else {
            throw StoreError.noSuchPart(
                part: parts.first { !available.contains($0) } ?? 0, frame: 0, parts: layout.parts.count,
                frames: manifest.frames)
        }
        let stride = layout.frameBytes
        guard let base = buffer.baseAddress, buffer.count >= stride else {
            throw StoreError.badBuffer(buffer.count, expected: stride)
        }
        let checks = zip(parts, positions).map {
            (
                offset: layout.offset(ofPart: $0), bytes: layout.parts[$0].bytes, sum: 32 + 8 * $1,
                name: layout.parts[$0].name
            )
        }
        let summary = manifest.segments[number]
        let path = directory + "/" + SegmentFormat.fileName(number)
        let descriptor = try SegmentReader.open(path)
        defer { close(descriptor) }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
        try checkEnds(descriptor, path, number)
        let perRead = buffer.count / stride
        var done = 0
        // With references the file's heads say which frames the records are of.
        let file = summary.reused == nil ? nil : try SegmentReader(directory: directory, number: number, known: known)
        guard file == nil || file?.summary == summary else {
            throw StoreError.damagedSegment(path, "not the one in the manifest")
        }
        while done < summary.records {
            let count = min(perRead, summary.records - done)
            let piece = UnsafeMutableRawBufferPointer(start: base, count: count * stride)
            let got = try Posix.pread(
                descriptor, piece, offset: SegmentFormat.headerBytes + done * stride, path: path)
            guard got == piece.count else { throw StoreError.damagedSegment(path, "truncated") }
            for record in 0..<count {
                let bytes = UnsafeRawBufferPointer(start: base + record * stride, count: stride)
                let frame = file.map { Int($0.heads[done + record].index) } ?? summary.first + done + record
                guard isHead(bytes, of: frame) else { throw StoreError.damagedFrame(path, frame: frame, "head") }
                for check in checks {
                    let part = UnsafeRawBufferPointer(
                        rebasing: bytes[check.offset..<check.offset + check.bytes])
                    guard Checksum.of(part) == bytes.u64(check.sum) else {
                        throw StoreError.damagedFrame(path, frame: frame, "checksum of \(check.name)")
                    }
                }
            }
            try body(Records(first: summary.first + done, count: count, base: UnsafeRawPointer(base), stride: stride))
            done += count
        }
        return try file.map { file in
            SharedRecords(
                records: try file.entries.map {
                    guard let record = file.record(of: Int($0.index)) else {
                        throw StoreError.damagedFrame(path, frame: Int($0.index), "no record")
                    }
                    return record
                }, gridTimes: file.entries.map(\.gridTime))
        }
    }

    /// Reads a frame's index and times from its record's head.
    public func entry(of frame: Int) throws -> FrameEntry {
        guard (0..<manifest.frames).contains(frame) else {
            throw StoreError.noSuchPart(
                part: 0, frame: frame, parts: manifest.layout.parts.count, frames: manifest.frames)
        }
        var (number, high) = (0, manifest.segments.count)
        while high - number > 1 {
            let middle = (number + high) / 2
            if manifest.segments[middle].first <= frame { number = middle } else { high = middle }
        }
        let path = directory + "/" + SegmentFormat.fileName(number)
        if manifest.segments[number].reused != nil {
            let file = try SegmentReader(directory: directory, number: number, known: known)
            guard file.summary == manifest.segments[number] else {
                throw StoreError.damagedSegment(path, "not the one in the manifest")
            }
            return file.entries[frame - file.summary.first]
        }
        let descriptor = try SegmentReader.open(path)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: headBytes)
        let record = frame - manifest.segments[number].first
        let offset = SegmentFormat.headerBytes + record * manifest.layout.frameBytes
        let got = try bytes.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: offset, path: path) }
        let parts = manifest.layout.parts(of: .frame).count
        guard got == bytes.count,
            let (entry, _) = bytes.withUnsafeBytes({ SegmentFormat.decodeHead($0, parts: parts) }),
            Int(entry.index) == frame
        else { throw StoreError.damagedFrame(path, frame: frame, "head") }
        return entry
    }

    /// The same checks as `SegmentFormat.decodeHead`, without its array of checksums.
    private func isHead(_ record: UnsafeRawBufferPointer, of frame: Int) -> Bool {
        let end = headBytes - 8
        return Int(record.u32(0)) == frame && record.u32(4) == 0
            && Checksum.of(UnsafeRawBufferPointer(rebasing: record.prefix(end))) == record.u64(end)
    }

    /// Verifies that the file is the one in the manifest, by its size, header and footer.
    private func checkEnds(_ descriptor: Int32, _ path: String, _ number: Int) throws {
        func damaged(_ reason: String) -> StoreError { .damagedSegment(path, reason) }
        let summary = manifest.segments[number]
        let status = try Posix.status(descriptor, path: path)
        guard Posix.isRegular(status), Int(status.st_size) == summary.bytes else { throw damaged("size") }
        var header = [UInt8](repeating: 0, count: SegmentFormat.headerBytes)
        var footer = [UInt8](repeating: 0, count: SegmentFormat.footerBytes)
        let got = try header.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: 0, path: path) }
        let end = try footer.withUnsafeMutableBytes {
            try Posix.pread(descriptor, $0, offset: summary.bytes - SegmentFormat.footerBytes, path: path)
        }
        guard got == header.count, end == footer.count else { throw damaged("truncated") }
        let found = try header.withUnsafeBytes { try SegmentFormat.decodeHeader($0, path: path, known: known) }
        guard found.number == number, found.stream == .frame else {
            throw damaged("it is \(SegmentFormat.fileName(found.number, found.stream))")
        }
        guard found.identity == known.identity else { throw damaged("key or layout of another index") }
        guard let (count, references, sum) = footer.withUnsafeBytes({ SegmentFormat.decodeFooter($0) }),
            count == summary.records, references == summary.reused ?? 0,
            Checksum.hex(sum) == summary.checksum
        else { throw damaged("not the one in the manifest") }
    }
}
