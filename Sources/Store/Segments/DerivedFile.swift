import Glibc

/// A file of data that can be recomputed: sections of bytes with checksums, and an identity that says what they belong
/// to.
///
/// It is written once and may disappear at any time. Layout, all integers little endian: `LTDRV` 00 00 01, u32 format
/// version, u32 length n of the identity, u32 number of sections, 4 zeros, per section u64 offset, u64 bytes, u64
/// XXH3-64; n bytes of identity; u64 XXH3-64 of all of this. Sections start at multiples of 4096.
public final class DerivedFile: Sendable {
    static let magic: [UInt8] = Array("LTDRV".utf8) + [0, 0, 1]
    static let version: UInt32 = 1
    private static let page = 4096
    private static let hugePage = 2 << 20
    private static let largestHeader = 1 << 20
    private static let mostSections = 4096
    /// MADV_POPULATE_READ of Linux 5.14: reads pages in without one fault each, and reports pages that cannot be read.
    private static let populateRead: Int32 = 22

    private struct Section: Sendable {
        let offset: Int
        let count: Int
        let checksum: UInt64
    }

    /// What the sections belong to.
    public let identity: [UInt8]
    private let path: String
    private let descriptor: Int32
    private let sections: [Section]

    /// Opens a file and verifies its header; nil if there is no usable file with this identity.
    ///
    /// A damaged file is removed, since it can be recomputed.
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
    /// Returns nil if mapping fails; if the checksum does not match, the file is removed too.
    public func map(_ section: Int, room: Int = 0) -> Mapping? {
        let section = sections[section]
        guard let mapping = Mapping(descriptor, offset: section.offset, count: section.count, room: room) else {
            return nil
        }
        // Reports a truncated file or a failing disk as an error; reading the mapping would raise SIGBUS.
        guard mapping.isReadable(section.count), Checksum.of(mapping.written(section.count)) == section.checksum else {
            unlink(path)
            return nil
        }
        return mapping
    }

    /// Memory that starts with the content of a section.
    public final class Mapping: Sendable {
        /// The section's bytes followed by the extra room.
        public nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer
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
                let over = mmap(
                    base, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, descriptor, off_t(offset))
                guard over != MAP_FAILED else {
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

        func written(_ count: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<count])
        }

        deinit { munmap(reserved, length) }
    }

    private static func sections(_ descriptor: Int32, _ path: String, identity: [UInt8]) -> [Section]? {
        guard let size = try? Int(Posix.status(descriptor, path: path).st_size) else { return nil }
        func read(_ count: Int) -> [UInt8]? {
            guard count >= 0, count <= largestHeader, count <= size else { return nil }
            var bytes = [UInt8](repeating: 0, count: count)
            let got = try? bytes.withUnsafeMutableBytes { try Posix.pread(descriptor, $0, offset: 0, path: path) }
            return got == count ? bytes : nil
        }
        guard let start = read(24), Array(start[..<8]) == magic, number(start, at: 8, 4) == UInt64(version),
            number(start, at: 12, 4) == UInt64(identity.count), case let count = Int(number(start, at: 16, 4)),
            count <= mostSections, case let end = 24 + 24 * count + identity.count, let head = read(end + 8),
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

    private static func number(_ bytes: [UInt8], at offset: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    private static func bytes(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private static func rounded(_ count: Int) -> Int { (count + page - 1) / page * page }

    /// Returns the size in bytes of a file with such sections.
    public static func size(identity: [UInt8], sections: [Int]) -> Int {
        sections.reduce(rounded(32 + 24 * sections.count + identity.count)) { $0 + rounded($1) }
    }

    /// Writes a file under a temporary name and renames it, without guaranteeing that it reaches the disk.
    ///
    /// A lost file is recomputed, and a torn one is detected by its checksums. Throws `StoreError` `.noSpace`, `.io`.
    public static func write(path: String, identity: [UInt8], sections: [UnsafeRawBufferPointer]) throws {
        precondition(sections.count <= mostSections && identity.count <= largestHeader / 2, "the head is too long")
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
                let rest = rounded(section.count) - section.count
                try zeros.withUnsafeBytes {
                    try Posix.write(descriptor, UnsafeRawBufferPointer(rebasing: $0[..<rest]), path: temporary)
                }
            }
            try head.withUnsafeBytes { try write($0) }
            for section in sections { try write(section) }
            // Otherwise the kernel writes it half a minute later, during the next question. Errors are ignored: the
            // kernel retries.
            fdatasync(descriptor)
            try Posix.rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }
}
