import Glibc

/// The open segment: a temporary file that becomes `NNNNNN.seg` when it is sealed.
///
/// The order is: exclusive temporary file in the same directory, write, flush, link to the final name, unlink the
/// temporary one, flush the directory. It holds one record in memory.
final class SegmentWriter {
    private let directory: String
    private let number: Int
    private let layout: RecordLayout
    private let heads = RunningChecksum()
    private let record: UnsafeMutableRawBufferPointer
    private let temporary: String
    private var descriptor: Int32
    private var bytes = SegmentFormat.headerBytes
    private(set) var first = 0
    private(set) var count = 0

    init(directory: String, header: SegmentFormat.Header) throws {
        let text = try SegmentFormat.encode(header)
        let path = directory + "/" + SegmentFormat.fileName(header.number) + ".\(getpid()).tmp"
        try Posix.remove(path)
        let opened = try Posix.open(path, O_RDWR | O_CREAT | O_EXCL)
        do {
            try text.withUnsafeBytes { try Posix.write(opened, $0, path: path) }
        } catch {
            close(opened)
            unlink(path)
            throw error
        }
        self.directory = directory
        number = header.number
        layout = header.identity.layout
        temporary = path
        descriptor = opened
        record = .allocate(byteCount: header.identity.layout.recordBytes, alignment: 64)
        text.withUnsafeBytes { heads.add(UnsafeRawBufferPointer(rebasing: $0.suffix(8))) }
    }

    deinit {
        discard()
        record.deallocate()
    }

    /// Writes one record; the parts' sizes must be the layout's.
    func append(_ entry: FrameEntry, parts: [UnsafeRawBufferPointer]) throws {
        let head = SegmentFormat.encodeHead(entry, checksums: parts.map { Checksum.of($0) })
        record.copyBytes(from: head)
        var offset = head.count
        for part in parts {
            UnsafeMutableRawBufferPointer(rebasing: record[offset..<(offset + part.count)]).copyMemory(from: part)
            offset += part.count
        }
        for index in offset..<record.count { record[index] = 0 }
        try Posix.write(descriptor, UnsafeRawBufferPointer(record), path: temporary)
        head.withUnsafeBytes { heads.add($0) }
        if count == 0 { first = Int(entry.index) }
        count += 1
        bytes += record.count
    }

    /// Writes the footer and gives the file its name, in place of a shorter segment of that number if `replacing`.
    ///
    /// After an error the temporary file is gone: a failed flush is never tried again.
    func seal(replacing: Bool) throws -> SegmentSummary {
        defer { discard() }
        let footer = SegmentFormat.encodeFooter(count: count, checksum: heads.value)
        try footer.withUnsafeBytes { try Posix.write(descriptor, $0, path: temporary) }
        try Posix.sync(descriptor, path: temporary)
        let name = SegmentFormat.fileName(number)
        try publish(as: directory + "/" + name, replacing: replacing)
        try Posix.syncDirectory(directory)
        return SegmentSummary(
            file: name, first: first, count: count, bytes: bytes + footer.count, checksum: Checksum.hex(heads.value))
    }

    /// Removes the temporary file; does nothing after `seal`.
    func discard() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unlink(temporary)
    }

    private func publish(as path: String, replacing: Bool) throws {
        if !replacing {
            // EEXIST: an equal segment is there already, since the lock holder removed every other one.
            if link(temporary, path) == 0 || errno == EEXIST { return try Posix.remove(temporary) }
            // Some file systems have no hard links; under the lock a rename is as good.
            guard [EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(errno) else {
                throw StoreError.system(errno, "link", path)
            }
        }
        if rename(temporary, path) != 0 { throw StoreError.system(errno, "rename", path) }
    }
}
