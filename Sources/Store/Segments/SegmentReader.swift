import Glibc

/// A sealed file of a segment, opened and verified except for the parts' bytes.
struct SegmentReader {
    /// Which record heads are read when the file is opened.
    enum Heads {
        /// All heads, verified against the footer's checksum.
        case all
        /// Only the first and last, since records may be half a megabyte apart.
        case ends
    }

    let path: String
    let header: SegmentFormat.Header
    let summary: SegmentSummary
    /// One entry per frame, with or without its own record; empty unless all heads were read.
    let entries: [FrameEntry]
    /// One entry per record; empty unless all heads were read.
    let heads: [FrameEntry]
    /// The frames without their own record, ascending; empty unless all heads were read.
    let references: [SegmentFormat.Reference]
    /// Number of records.
    let recordCount: Int
    /// Frame index of the last record.
    let lastRecord: Int
    /// One checksum per part and record, record by record; empty unless all heads were read.
    let checksums: [UInt64]
    /// Frame index of the last frame.
    let last: Int
    private let parts: [Int]

    var layout: RecordLayout { header.identity.layout }
    var stream: RecordStream { header.stream }
    /// True if every frame from the first to the last has a record.
    var isDense: Bool { last - summary.first + 1 == summary.count }

    /// Reads header, record heads and footer of segment `number` in `directory`.
    ///
    /// `path` is the file's path if it has another name so far, `known` the expected header JSON. Throws `StoreError`:
    /// `.notFound`, `.damaged`, `.newerFormat`, or `.io` if the disk fails.
    init(
        directory: String, number: Int, stream: RecordStream = .frame, heads: Heads = .all, path other: String? = nil,
        known: SegmentFormat.KnownIdentity? = nil
    ) throws {
        let name = SegmentFormat.fileName(number, stream)
        let path = other ?? directory + "/" + name
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
        let header = try headerBytes.withUnsafeBytes { try SegmentFormat.decodeHeader($0, path: path, known: known) }
        self.header = header
        guard header.number == number, header.stream == stream else {
            throw damaged("it is \(SegmentFormat.fileName(header.number, header.stream))")
        }

        let layout = header.identity.layout
        let recordBytes = layout.recordBytes(of: stream)
        guard recordBytes > 0 else { throw damaged("it has no parts") }
        let parts = layout.parts(of: stream)
        self.parts = parts
        let body = size - SegmentFormat.headerBytes - SegmentFormat.footerBytes
        let footerBytes = try SegmentReader.read(
            descriptor, SegmentFormat.footerBytes, at: size - SegmentFormat.footerBytes, path)
        guard let footer = footerBytes.withUnsafeBytes({ SegmentFormat.decodeFooter($0) }) else {
            throw damaged("not sealed")
        }
        let count = footer.count
        let referenceBytes = footer.references * SegmentFormat.referenceBytes
        guard footer.references == 0 || header.identity.key.allowsReferences, body >= referenceBytes,
            (body - referenceBytes) % recordBytes == 0, (body - referenceBytes) / recordBytes == count,
            count >= 1, count + footer.references <= header.framesPerSegment
        else { throw damaged("size") }

        var entries: [FrameEntry] = []
        var checksums: [UInt64] = []
        entries.reserveCapacity(count)
        checksums.reserveCapacity(count * parts.count)
        let headBytes = layout.headBytes(of: stream)
        let running = RunningChecksum()
        headerBytes.withUnsafeBytes { running.add(UnsafeRawBufferPointer(rebasing: $0.suffix(8))) }
        // Small records are read whole, many at once: cheaper than one call per head. 64 KiB at a time, so that malloc
        // does not fetch fresh pages for each read.
        let recordsPerRead = heads == .all && recordBytes <= 4096 ? (64 << 10) / recordBytes : 1
        var (read, firstRead): ([UInt8], Int) = ([], 0)
        for record in heads == .all ? Array(0..<count) : [0, count - 1] {
            if recordsPerRead == 1 || record % recordsPerRead == 0 {
                let bytes =
                    recordsPerRead == 1 ? headBytes : min(recordsPerRead, count - record) * recordBytes
                read = try SegmentReader.read(
                    descriptor, bytes, at: SegmentFormat.headerBytes + record * recordBytes, path)
                firstRead = record
            }
            let start = (record - firstRead) * recordBytes
            let found = read.withUnsafeBytes { buffer in
                let head = UnsafeRawBufferPointer(rebasing: buffer[start..<start + headBytes])
                running.add(head)
                return SegmentFormat.decodeHead(head, parts: parts.count, checksums: &checksums)
            }
            guard let entry = found else { throw damaged("head of record \(record)") }
            if heads == .all, let previous = entries.last {
                guard entry.index > previous.index else { throw damaged("order of record \(record)") }
            }
            entries.append(entry)
        }
        guard let first = entries.first, let end = entries.last, end.index >= first.index else {
            throw damaged("order")
        }
        recordCount = count
        lastRecord = Int(end.index)
        var references: [SegmentFormat.Reference] = []
        if heads == .all, footer.references > 0 {
            let table = try SegmentReader.read(
                descriptor, referenceBytes, at: size - SegmentFormat.footerBytes - referenceBytes, path)
            references = try Self.references(table, running, path: path)
        }
        guard heads != .all || running.value == footer.checksum else { throw damaged("footer checksum") }
        last = max(Int(end.index), references.last.map { Int($0.entry.index) } ?? 0)
        self.references = references
        self.heads = heads == .all ? entries : []
        self.entries = heads == .all ? Self.merged(entries, references) : []
        self.checksums = heads == .all ? checksums : []
        summary = SegmentSummary(
            file: name, first: Int(first.index), count: count + footer.references, bytes: size,
            checksum: Checksum.hex(footer.checksum), reused: footer.references > 0 ? footer.references : nil)
        guard heads == .ends || stream == .patch || isDense else { throw damaged("order") }
        guard !references.isEmpty else { return }
        for (previous, next) in zip(self.entries, self.entries.dropFirst()) where previous.index >= next.index {
            throw damaged("order of frame \(next.index)")
        }
        for reference in references where recordIndex(of: reference.owner) == nil {
            throw damaged("reference of frame \(reference.entry.index)")
        }
    }

    private static func references(
        _ table: [UInt8], _ running: RunningChecksum, path: String
    ) throws -> [SegmentFormat.Reference] {
        let size = SegmentFormat.referenceBytes
        return try table.withUnsafeBytes { buffer in
            try (0..<buffer.count / size).map { index in
                let head = UnsafeRawBufferPointer(rebasing: buffer[index * size..<(index + 1) * size])
                running.add(head)
                guard let reference = SegmentFormat.decodeReference(head) else {
                    throw StoreError.damagedSegment(path, "reference \(index)")
                }
                return reference
            }
        }
    }

    /// Merges records and references in the order of their frames.
    private static func merged(_ heads: [FrameEntry], _ references: [SegmentFormat.Reference]) -> [FrameEntry] {
        guard !references.isEmpty else { return heads }
        var entries: [FrameEntry] = []
        entries.reserveCapacity(heads.count + references.count)
        var next = 0
        for head in heads {
            while next < references.count, references[next].entry.index < head.index {
                entries.append(references[next].entry)
                next += 1
            }
            entries.append(head)
        }
        return entries + references[next...].map(\.entry)
    }

    /// Returns the number of the record that frame `index` owns; nil if it owns none. All heads must have been read.
    private func recordIndex(of index: UInt32) -> Int? { SegmentReader.find(index, heads.count) { heads[$0].index } }

    /// Returns the index of the frame whose record a frame has; nil for a frame that is not in this file.
    ///
    /// All heads must have been read.
    func owner(of frame: Int) -> Int? {
        guard let index = UInt32(exactly: frame) else { return nil }
        if let found = SegmentReader.find(index, references.count, { references[$0].entry.index }) {
            return Int(references[found].owner)
        }
        return recordIndex(of: index) == nil ? nil : frame
    }

    /// Returns the number of the record of a frame; nil if it has none, or if only the first and last heads were read
    /// and frames are missing.
    func record(of frame: Int) -> Int? {
        if heads.isEmpty {
            return isDense && (summary.first...last).contains(frame) ? frame - summary.first : nil
        }
        return owner(of: frame).flatMap { UInt32(exactly: $0) }.flatMap { recordIndex(of: $0) }
    }

    /// Returns the position of `index` among `count` ascending values.
    private static func find(_ index: UInt32, _ count: Int, _ value: (Int) -> UInt32) -> Int? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if value(middle) < index { low = middle + 1 } else { high = middle }
        }
        return low < count && value(low) == index ? low : nil
    }

    /// True if this patch file has the patches of every record of `frames`, in the same order.
    ///
    /// A crash between publishing the two files of a grown segment leaves more patches than frames.
    func hasPatches(of frames: SegmentReader) -> Bool {
        guard summary.first == frames.summary.first, recordCount >= frames.recordCount,
            lastRecord >= frames.lastRecord
        else { return false }
        return header.identity.key.allowsReferences || isDense
    }

    /// Opens a segment for reading; never follows a link or waits for a pipe.
    static func open(_ path: String) throws -> Int32 { try Posix.openRegular(path, O_RDONLY) }

    /// Reads one part of one record and verifies its checksum; `part` is an index in the whole layout.
    ///
    /// `frame` is the frame the record must belong to. Throws `.damaged` naming the frame, `.badKey` for a buffer of
    /// another size, `.io`.
    func read(
        _ descriptor: Int32, record: Int, frame: Int, part: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws {
        let size = layout.parts[part].bytes
        guard buffer.count == size else { throw StoreError.badBuffer(buffer.count, expected: size) }
        func damaged(_ reason: String) -> StoreError { .damagedFrame(path, frame: frame, reason) }
        let start = SegmentFormat.headerBytes + record * layout.recordBytes(of: stream)
        guard let position = parts.firstIndex(of: part) else { throw damaged("no such part") }
        let expected: UInt64
        if checksums.isEmpty {
            expected = try head(descriptor, record: record, frame: frame).sums[position]
        } else {
            expected = checksums[record * parts.count + position]
        }
        let offset = start + layout.offset(ofPart: part)
        let got = try Posix.pread(descriptor, buffer, offset: offset, path: path)
        guard got == size else { throw damaged("truncated") }
        guard Checksum.of(UnsafeRawBufferPointer(buffer)) == expected else {
            throw damaged("checksum of \(layout.parts[part].name)")
        }
    }

    /// Returns the index and times of a record's frame.
    func entry(_ descriptor: Int32, record: Int, frame: Int) throws -> FrameEntry {
        heads.isEmpty ? try head(descriptor, record: record, frame: frame).entry : heads[record]
    }

    private func head(_ descriptor: Int32, record: Int, frame: Int) throws -> (entry: FrameEntry, sums: [UInt64]) {
        let start = SegmentFormat.headerBytes + record * layout.recordBytes(of: stream)
        let bytes = try SegmentReader.read(descriptor, layout.headBytes(of: stream), at: start, path)
        guard let (entry, sums) = bytes.withUnsafeBytes({ SegmentFormat.decodeHead($0, parts: parts.count) }),
            Int(entry.index) == frame
        else { throw StoreError.damagedFrame(path, frame: frame, "head") }
        return (entry, sums)
    }

    /// Reads every record; returns the frames that do not match their checksums, with the reason.
    ///
    /// All heads must have been read. `progress` gets the size in bytes of each record; an error it throws ends the
    /// reading.
    func damagedRecords(progress: (Int) throws -> Void = { _ in }) throws -> [(frame: Int, reason: String)] {
        let descriptor = try SegmentReader.open(path)
        defer { close(descriptor) }
        // Drop the page cache: cached pages prove nothing about the disk.
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        let size = layout.recordBytes(of: stream)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
        defer { buffer.deallocate() }
        var found: [(Int, String)] = []
        for record in heads.indices {
            let got = try Posix.pread(
                descriptor, buffer, offset: SegmentFormat.headerBytes + record * size, path: path)
            if let reason = got == size ? fault(record, UnsafeRawBufferPointer(buffer)) : "truncated" {
                found.append((Int(heads[record].index), reason))
            }
            try progress(size)
        }
        // The references were verified when the file was opened, possibly in the page cache.
        let start = SegmentFormat.headerBytes + heads.count * size
        for (number, reference) in references.enumerated() {
            let offset = start + number * SegmentFormat.referenceBytes
            let bytes = try SegmentReader.read(descriptor, SegmentFormat.referenceBytes, at: offset, path)
            guard bytes.withUnsafeBytes({ SegmentFormat.decodeReference($0) }) == reference else {
                found.append((Int(reference.entry.index), "reference"))
                continue
            }
            try progress(SegmentFormat.referenceBytes)
        }
        return found
    }

    private func fault(_ record: Int, _ bytes: UnsafeRawBufferPointer) -> String? {
        let headBytes = layout.headBytes(of: stream)
        let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(headBytes))
        guard let (entry, sums) = SegmentFormat.decodeHead(head, parts: parts.count), entry == heads[record] else {
            return "head"
        }
        var offset = headBytes
        for (position, part) in parts.enumerated() {
            let end = offset + layout.parts[part].bytes
            let expected = checksums[record * parts.count + position]
            guard sums[position] == expected,
                Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[offset..<end])) == expected
            else { return "checksum of \(layout.parts[part].name)" }
            offset = end
        }
        return bytes[offset...].allSatisfy { $0 == 0 } ? nil : "padding"
    }

    private static func read(_ descriptor: Int32, _ count: Int, at offset: Int, _ path: String) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = try Posix.pread(descriptor, UnsafeMutableRawBufferPointer(buffer), offset: offset, path: path)
        }
        guard bytes.count == count else { throw StoreError.damagedSegment(path, "truncated") }
        return bytes
    }
}
