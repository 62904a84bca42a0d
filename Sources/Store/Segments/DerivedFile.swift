import Glibc

/// A file of data that can be recomputed: checksummed sections, and an identity naming what they were computed from.
///
/// It is written once and may disappear at any time. Layout, all integers little endian, as in `docs/index-format.md`:
///
///     8      `LTDRV` 00 00 01
///     4      u32 format version
///     4      u32 length n of the identity
///     4      u32 number of sections s
///     4      zeros
///     24·s   per section u64 offset, u64 size in bytes, u64 XXH3-64
///     n      identity
///     8      u64 XXH3-64 of everything above
///
/// Sections start at multiples of 4096.
public final class DerivedFile: Sendable {
    static let magic: [UInt8] = Array("LTDRV".utf8) + [0, 0, 1]
    static let version: UInt32 = 1
    /// Alignment of sections, in bytes.
    private static let page = 4096
    /// Size of a huge page in bytes: 2 MiB where pages have 4 KiB.
    private static let hugePage = 2 << 20
    /// Largest header that is read, in bytes; `write` limits the identity to half of it.
    private static let maxHeaderBytes = 1 << 20
    private static let maxSections = 4096
    /// MADV_POPULATE_READ (Linux 5.14): reads all pages without a fault for each, and fails if one cannot be read.
    private static let populateRead: Int32 = 22

    private struct Section: Sendable {
        let offset: Int
        let count: Int
        let checksum: UInt64
    }

    /// What the sections were computed from; a file with another identity is not used.
    public let identity: [UInt8]
    private let path: String
    private let descriptor: Int32
    private let sections: [Section]

    /// Opens a file and verifies its header; nil if there is no usable file with this identity.
    ///
    /// Anything else at `path` (a damaged file, another version or identity, a symbolic link) is removed: the data can
    /// be recomputed. Opening sets the file's times to now.
    public init?(path: String, identity: [UInt8]) {
        guard let descriptor = try? Posix.openRegular(path, O_RDONLY) else {
            if Posix.otherKind(path) != nil { try? Posix.remove(path) }
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        self.identity = identity
        guard let found = Self.sections(descriptor, path, identity: identity) else {
            sections = []
            unlink(path)
            return nil
        }
        sections = found
        // Marks the file as recently used: the least recently used files are removed first.
        futimens(descriptor, nil)
    }

    deinit { close(descriptor) }

    /// Number of sections.
    public var sectionCount: Int { sections.count }
    /// Returns the size of a section in bytes.
    public func byteCount(_ section: Int) -> Int { sections[section].count }

    /// Maps a section privately, with `room` more bytes after it; writes do not change the file.
    ///
    /// Returns nil if mapping fails. If the section cannot be read or its checksum does not match, the file is removed,
    /// too.
    public func map(_ section: Int, room: Int = 0) -> Mapping? {
        let section = sections[section]
        guard let mapping = Mapping(descriptor, offset: section.offset, count: section.count, room: room) else {
            return nil
        }
        // Reports a truncated file or a failing disk as an error; reading the mapping would raise SIGBUS.
        guard mapping.isReadable(section.count), Checksum.of(mapping.prefix(section.count)) == section.checksum else {
            unlink(path)
            return nil
        }
        return mapping
    }

    /// A section in memory, with room to append to it; unmapped by deinit.
    public final class Mapping: Sendable {
        /// The section's bytes followed by the extra room.
        public nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer
        /// The reserved address range of `length` bytes, in which `bytes` lies.
        private nonisolated(unsafe) let reserved: UnsafeMutableRawPointer
        private let length: Int

        init?(_ descriptor: Int32, offset: Int, count: Int, room: Int) {
            let (wanted, overflow) = count.addingReportingOverflow(room)
            guard !overflow, wanted < Int.max - DerivedFile.page - DerivedFile.hugePage else { return nil }
            length = DerivedFile.rounded(max(1, wanted)) + DerivedFile.hugePage
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
            guard let reserved = mmap(nil, length, PROT_READ | PROT_WRITE, flags, -1, 0), reserved != MAP_FAILED else {
                return nil
            }
            self.reserved = reserved
            // At the same offset within a huge page as in the file: only then can the file's huge pages be mapped.
            let base = reserved + (offset - Int(bitPattern: reserved)) & (DerivedFile.hugePage - 1)
            bytes = UnsafeMutableRawBufferPointer(start: base, count: wanted)
            if count > 0 {
                let mapped = mmap(
                    base, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, descriptor, off_t(offset))
                guard mapped != MAP_FAILED else {
                    munmap(reserved, length)
                    return nil
                }
            }
        }

        /// Reads in the first `count` bytes; returns false if the file cannot provide them.
        func isReadable(_ count: Int) -> Bool {
            guard count > 0 else { return true }
            // Older kernels return EINVAL: there each page is read at its first access.
            return madvise(bytes.baseAddress, count, DerivedFile.populateRead) == 0 || errno == EINVAL
        }

        /// The first `count` bytes.
        func prefix(_ count: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<count])
        }

        deinit { munmap(reserved, length) }
    }

    /// Reads the section table; nil if the header is damaged, of another version or of another identity.
    private static func sections(_ descriptor: Int32, _ path: String, identity: [UInt8]) -> [Section]? {
        guard let size = try? Int(Posix.status(descriptor, path: path).st_size) else { return nil }
        func readStart(_ count: Int) -> [UInt8]? {
            guard count >= 0, count <= maxHeaderBytes, count <= size else { return nil }
            var bytes = [UInt8](repeating: 0, count: count)
            let got = try? bytes.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: 0, path: path) }
            return got == count ? bytes : nil
        }
        guard let start = readStart(24), Array(start[..<8]) == magic, number(start, at: 8, 4) == UInt64(version),
            number(start, at: 12, 4) == UInt64(identity.count), case let count = Int(number(start, at: 16, 4)),
            count <= maxSections, case let end = 24 + 24 * count + identity.count, let head = readStart(end + 8),
            Checksum.of(Array(head[..<end])) == number(head, at: end, 8),
            Array(head[(24 + 24 * count)..<end]) == identity
        else { return nil }
        var sections: [Section] = []
        for section in 0..<count {
            let at = 24 + 24 * section
            let (offset, bytes) = (number(head, at: at, 8), number(head, at: at + 8, 8))
            // Reading a mapping past the end of its file raises SIGBUS.
            guard offset % UInt64(page) == 0, offset <= UInt64(size), bytes <= UInt64(size) - offset else { return nil }
            sections.append(
                Section(offset: Int(offset), count: Int(bytes), checksum: number(head, at: at + 16, 8)))
        }
        return sections
    }

    /// The little-endian integer of `count` bytes at `offset`.
    private static func number(_ bytes: [UInt8], at offset: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    private static func bytes(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// Rounds up to whole pages.
    private static func rounded(_ count: Int) -> Int { (count + page - 1) / page * page }

    /// Removes the file at `path`, if there is one.
    public static func remove(path: String) { try? Posix.remove(path) }

    /// Returns the size in bytes of a file with sections of these sizes in bytes.
    public static func size(identity: [UInt8], sections: [Int]) -> Int {
        sections.reduce(rounded(32 + 24 * sections.count + identity.count)) { $0 + rounded($1) }
    }

    /// Writes a file under a temporary name and renames it; a failed flush is ignored and the folder is not flushed.
    ///
    /// A lost file is recomputed, and a torn one is detected by its checksums. At most 4096 sections and 512 KiB of
    /// identity. Throws `StoreError` `.noSpace`, `.io`.
    public static func write(path: String, identity: [UInt8], sections: [UnsafeRawBufferPointer]) throws {
        precondition(
            sections.count <= maxSections && identity.count <= maxHeaderBytes / 2,
            "a derived file takes at most \(maxSections) sections and \(maxHeaderBytes / 2) bytes of identity")
        var head =
            magic + bytes(version) + bytes(UInt32(identity.count)) + bytes(UInt32(sections.count)) + [0, 0, 0, 0]
        var offset = rounded(32 + 24 * sections.count + identity.count)
        for section in sections {
            head += bytes(UInt64(offset)) + bytes(UInt64(section.count)) + bytes(Checksum.of(section))
            offset += rounded(section.count)
        }
        head += identity
        head += bytes(Checksum.of(head))
        let temporary = "\(path).\(getpid()).tmp"
        try Posix.remove(temporary)
        let descriptor = try Posix.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
        do {
            defer { close(descriptor) }
            let zeros = [UInt8](repeating: 0, count: page)
            func write(_ section: UnsafeRawBufferPointer) throws {
                try Posix.write(descriptor, section, path: temporary)
                let padding = rounded(section.count) - section.count
                try zeros.withUnsafeBytes {
                    try Posix.write(descriptor, UnsafeRawBufferPointer(rebasing: $0[..<padding]), path: temporary)
                }
            }
            try head.withUnsafeBytes { try write($0) }
            for section in sections { try write(section) }
            // Write it back now: the kernel would do so after 30 s (vm.dirty_expire_centisecs), during the next
            // question. Errors are ignored, as the checksums detect what did not reach the disk.
            fdatasync(descriptor)
            try Posix.rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }
}
