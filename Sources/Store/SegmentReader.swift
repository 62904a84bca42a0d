import Glibc

/// A sealed segment, opened and checked except for the parts' bytes.
struct SegmentReader {
    let path: String
    let header: SegmentFormat.Header
    let summary: SegmentSummary
    let entries: [FrameEntry]
    /// One checksum for each part of each record, record by record.
    let checksums: [UInt64]

    /// Reads header, record heads and footer of segment `number` in `directory`.
    ///
    /// Throws `StoreError`: `.notFound`, `.damaged`, `.newerFormat`, or `.io` when the disk fails.
    init(directory: String, number: Int) throws {
        let name = SegmentFormat.fileName(number)
        let path = directory + "/" + name
        self.path = path
        func damaged(_ reason: String) -> StoreError { .damagedSegment(path, reason) }
        let descriptor = try SegmentReader.open(path)
        defer { close(descriptor) }
        let status = try Posix.status(descriptor, path: path)
        let size = Int(status.st_size)
        guard Posix.isRegular(status), size >= SegmentFormat.headerBytes + SegmentFormat.footerBytes else {
            throw damaged("not sealed")
        }
        let headerBytes = try SegmentReader.read(descriptor, SegmentFormat.headerBytes, at: 0, path)
        header = try headerBytes.withUnsafeBytes { try SegmentFormat.decodeHeader($0, path: path) }
        guard header.number == number else { throw damaged("it is segment \(header.number)") }

        let layout = header.identity.layout
        let body = size - SegmentFormat.headerBytes - SegmentFormat.footerBytes
        let count = body / layout.recordBytes
        let footerBytes = try SegmentReader.read(
            descriptor, SegmentFormat.footerBytes, at: size - SegmentFormat.footerBytes, path)
        guard let footer = footerBytes.withUnsafeBytes({ SegmentFormat.decodeFooter($0) }) else {
            throw damaged("not sealed")
        }
        guard body % layout.recordBytes == 0, footer.count == count, (1...header.framesPerSegment).contains(count)
        else { throw damaged("size") }

        var entries: [FrameEntry] = []
        var checksums: [UInt64] = []
        let running = RunningChecksum()
        headerBytes.withUnsafeBytes { running.add(UnsafeRawBufferPointer(rebasing: $0.suffix(8))) }
        for record in 0..<count {
            let offset = SegmentFormat.headerBytes + record * layout.recordBytes
            let bytes = try SegmentReader.read(descriptor, layout.headBytes, at: offset, path)
            let head = bytes.withUnsafeBytes { buffer in
                running.add(buffer)
                return SegmentFormat.decodeHead(buffer, parts: layout.parts.count)
            }
            guard let (entry, sums) = head else { throw damaged("head of record \(record)") }
            if let previous = entries.last, Int(entry.index) != Int(previous.index) + 1 {
                throw damaged("order of record \(record)")
            }
            entries.append(entry)
            checksums += sums
        }
        guard running.value == footer.checksum, let first = entries.first else { throw damaged("footer checksum") }
        self.entries = entries
        self.checksums = checksums
        summary = SegmentSummary(
            file: name, first: Int(first.index), count: count, bytes: size, checksum: Checksum.hex(footer.checksum))
    }

    /// Opens a segment for reading, without following a link in its place.
    static func open(_ path: String) throws -> Int32 { try Posix.open(path, O_RDONLY | O_NOFOLLOW) }

    private static func read(_ descriptor: Int32, _ count: Int, at offset: Int, _ path: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: offset, path: path) }
        guard got == count else { throw StoreError.damagedSegment(path, "truncated") }
        return bytes
    }
}
