import Glibc

/// An open file of a segment, under a temporary name until it is sealed.
///
/// Steps: exclusive temporary file in the same directory, write, flush, read back and verify, link to the final name,
/// unlink the temporary name, flush the directory. It holds one record in memory.
final class SegmentWriter {
    private let directory: String
    private let header: SegmentFormat.Header
    private let parts: [Int]
    private let heads = RunningChecksum()
    private let record: UnsafeMutableRawBufferPointer
    private let temporary: String
    private var descriptor: Int32
    private var sealed: SegmentSummary?
    private(set) var first = 0
    /// Number of records written.
    private(set) var count = 0
    /// Frame index of the last record written; nil before the first.
    private(set) var lastRecord: Int?
    /// The references, written after all records: 40 bytes per frame.
    private var references: [UInt8] = []

    /// Number of frames: records and references.
    var frames: Int { count + referenceCount }
    private var referenceCount: Int { references.count / SegmentFormat.referenceBytes }

    init(directory: String, header: SegmentFormat.Header) throws {
        let text = try SegmentFormat.encode(header)
        let name = SegmentFormat.fileName(header.number, header.stream)
        let path = directory + "/" + name + ".\(getpid()).tmp"
        try Posix.remove(path)
        let opened = try Posix.open(path, O_RDWR | O_CREAT | O_EXCL)
        do {
            try text.withUnsafeBytes { try Posix.write(opened, $0, path: path) }
        } catch {
            close(opened)
            Posix.discard(path)
            throw error
        }
        self.directory = directory
        self.header = header
        let layout = header.identity.layout
        parts = layout.parts(of: header.stream)
        temporary = path
        descriptor = opened
        record = .allocate(byteCount: layout.recordBytes(of: header.stream), alignment: 64)
        text.withUnsafeBytes { heads.add(UnsafeRawBufferPointer(rebasing: $0.suffix(8))) }
    }

    deinit {
        discard()
        record.deallocate()
    }

    /// Writes one record; `all` are the parts of the whole layout, of which only this file's parts are written.
    func append(_ entry: FrameEntry, parts all: [UnsafeRawBufferPointer]) throws {
        let head = SegmentFormat.encodeHead(entry, checksums: parts.lazy.map { Checksum.of(all[$0]) })
        record.copyBytes(from: head)
        var offset = head.count
        for index in parts {
            let part = all[index]
            UnsafeMutableRawBufferPointer(rebasing: record[offset..<(offset + part.count)]).copyMemory(from: part)
            offset += part.count
        }
        for index in offset..<record.count { record[index] = 0 }
        try Posix.write(descriptor, UnsafeRawBufferPointer(record), path: temporary)
        head.withUnsafeBytes { heads.add($0) }
        if count == 0 { first = Int(entry.index) }
        count += 1
        lastRecord = Int(entry.index)
        CrashPoint.reach(.recordWritten)
    }

    /// Adds a frame that has the record of frame `owner`, an earlier one of this file.
    func append(reference entry: FrameEntry, owner: Int) {
        references += SegmentFormat.encodeHead(
            entry, checksums: [], distance: entry.index - UInt32(truncatingIfNeeded: owner))
    }

    /// Writes the footer, flushes, and reads everything back, so that only intact files are published.
    ///
    /// After an error the temporary file is removed: a failed flush is never retried.
    func seal() throws {
        do {
            try references.withUnsafeBytes {
                try Posix.write(descriptor, $0, path: temporary)
                heads.add($0)
            }
            let footer = SegmentFormat.encodeFooter(
                count: count, references: referenceCount, checksum: heads.value)
            try footer.withUnsafeBytes { try Posix.write(descriptor, $0, path: temporary) }
            CrashPoint.reach(.footerWritten)
            try Posix.sync(descriptor, path: temporary)
            CrashPoint.reach(.fileSynced)
            let written = try SegmentReader(
                directory: directory, number: header.number, stream: header.stream, path: temporary)
            guard written.header == header, written.summary.checksum == Checksum.hex(heads.value),
                written.summary.count == frames
            else { throw StoreError.notWritten(temporary, "not what was written") }
            if let fault = try written.damagedRecords().first {
                throw StoreError.notWritten(temporary, "frame \(fault.frame), \(fault.reason)")
            }
            sealed = written.summary
            CrashPoint.reach(.fileVerified)
        } catch {
            discard()
            // A disk that returns other bytes than were written is not damage in the cache: nothing was published.
            if let error = error as? StoreError, error.code == .damaged {
                throw StoreError.notWritten(temporary, error.message)
            }
            throw error
        }
    }

    /// Gives the sealed file its final name and flushes the folder; with `replacing` it replaces a shorter file.
    ///
    /// Throws `.locked` if a different file with that name exists.
    func publish(replacing: Bool) throws -> SegmentSummary {
        defer { discard() }
        guard let sealed else { throw StoreError.writerFinished() }
        let path = directory + "/" + sealed.file
        if replacing {
            try Posix.rename(temporary, to: path)
        } else {
            if Posix.otherKind(path) != nil { try Posix.remove(path) }
            switch try Posix.link(temporary, to: path) {
            case true?: break
            case false?:
                // The first writer wins; the second continues if its file is the same.
                let existing = try? SegmentReader(directory: directory, number: header.number, stream: header.stream)
                guard existing?.summary == sealed else { throw StoreError.locked(directory) }
            case nil:
                // Some file systems have no hard links; under the lock a rename is equivalent.
                try Posix.rename(temporary, to: path)
            }
        }
        CrashPoint.reach(
            header.number == SegmentFormat.sampleNumber
                ? .sampleLinked : header.stream == .frame ? .segmentLinked : .patchesLinked)
        try Posix.remove(temporary)
        try Posix.syncDirectory(directory)
        CrashPoint.reach(.folderSynced)
        return sealed
    }

    /// Removes the temporary file; does nothing after `publish`.
    func discard() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        Posix.discard(temporary)
    }
}
