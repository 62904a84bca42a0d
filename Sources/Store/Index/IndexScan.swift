import Glibc

/// Reads some parts of every record of an index, each segment from its start to its end.
///
/// Opening one reads the manifest alone, and a segment is one file opened and read in large pieces: for looking at all frames
/// of many recordings. While it is open nothing of the index is evicted. It can be used from several threads at once, each with a
/// buffer of its own. For single frames there is `IndexReader`.
public final class IndexScan: Sendable {
    public let manifest: Manifest
    private let directory: String
    private let lock: ReaderLock?
    /// What the segments' headers probably say: reading their JSON takes longer than their records.
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
            // A frame's number has 32 bits.
            guard summary.first == next, (1...SegmentFormat.maxFrames).contains(summary.count),
                next <= Int(UInt32.max) - summary.count,
                IndexScan.fileBytes(summary.count, layout) == summary.bytes
            else { throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "segments") }
            next += summary.count
        }
        guard next == manifest.frames else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "number of frames")
        }
    }

    private static func fileBytes(_ count: Int, _ layout: RecordLayout) -> Int? {
        let (records, overflow) = count.multipliedReportingOverflow(by: layout.frameBytes)
        let (all, tooMuch) = records.addingReportingOverflow(SegmentFormat.headerBytes + SegmentFormat.footerBytes)
        return overflow || tooMuch ? nil : all
    }

    /// Records that lie one behind the other in memory; their heads and the parts that were asked for are checked.
    ///
    /// Valid during the call that gets them.
    public struct Records {
        /// The number of the first record's frame.
        public let first: Int
        public let count: Int
        public let base: UnsafeRawPointer
        /// Bytes from record to record.
        public let stride: Int

        /// Seconds from the first presented frame.
        public func gridTime(_ record: Int) -> Double {
            let bits = base.loadUnaligned(fromByteOffset: record * stride + 8, as: UInt64.self)
            return Double(bitPattern: UInt64(littleEndian: bits))
        }
    }

    /// A buffer for `read`: some records, a mebibyte where that holds one.
    public var bufferBytes: Int {
        max(1, min((1 << 20) / max(manifest.layout.frameBytes, 1), IndexWriter.framesPerSegment))
            * manifest.layout.frameBytes
    }

    /// Reads segment `number` whole; `body` gets its records in their order, as many at a time as the buffer holds.
    ///
    /// - Parameter parts: places in the layout, all of the frame stream.
    /// - Throws: `StoreError` `.damaged` naming file and frame, `.notFound` when the index was removed, `.badKey` for a part
    ///   that is not there or a buffer that holds no record, `.io`; and what `body` throws.
    public func read(
        segment number: Int, parts: [Int], buffer: UnsafeMutableRawBufferPointer, _ body: (Records) throws -> Void
    ) throws {
        let layout = manifest.layout
        let own = layout.parts(of: .frame)
        let places = parts.compactMap { own.firstIndex(of: $0) }
        guard manifest.segments.indices.contains(number), places.count == parts.count else {
            throw StoreError.noSuchPart(
                part: parts.first { !own.contains($0) } ?? 0, frame: 0, parts: layout.parts.count,
                frames: manifest.frames)
        }
        let stride = layout.frameBytes
        guard let base = buffer.baseAddress, buffer.count >= stride else {
            throw StoreError.badBuffer(buffer.count, expected: stride)
        }
        let checks = zip(parts, places).map {
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
        let most = buffer.count / stride
        var done = 0
        while done < summary.count {
            let count = min(most, summary.count - done)
            let piece = UnsafeMutableRawBufferPointer(start: base, count: count * stride)
            let got = try Posix.pread(
                descriptor, piece, offset: SegmentFormat.headerBytes + done * stride, path: path)
            guard got == piece.count else { throw StoreError.damagedSegment(path, "truncated") }
            for record in 0..<count {
                let bytes = UnsafeRawBufferPointer(start: base + record * stride, count: stride)
                let frame = summary.first + done + record
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
    }

    /// When a frame is shown, from its record's head.
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

    /// The same tests as `SegmentFormat.decodeHead`, which makes an array of the sums.
    private func isHead(_ record: UnsafeRawBufferPointer, of frame: Int) -> Bool {
        let end = headBytes - 8
        return Int(record.u32(0)) == frame && record.u32(4) == 0
            && Checksum.of(UnsafeRawBufferPointer(rebasing: record.prefix(end))) == record.u64(end)
    }

    /// The file is the one in the manifest: its size, its header and its footer.
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
        guard let (count, sum) = footer.withUnsafeBytes({ SegmentFormat.decodeFooter($0) }), count == summary.count,
            Checksum.hex(sum) == summary.checksum
        else { throw damaged("not the one in the manifest") }
    }
}
