import Glibc

/// An open video file, checked to be a regular file before any byte is read.
///
/// The name is used only to open the file; afterwards only the descriptor is. Names are bytes and need not be UTF-8.
public final class RecordingFile: @unchecked Sendable {
    // @unchecked: the descriptor is only read with pread, and closed once in deinit.
    /// The open descriptor, owned by this object.
    public let descriptor: Int32
    /// The path as it was given; need not be UTF-8.
    public let path: [UInt8]
    /// Size in bytes, at least 1.
    public let size: Int64
    /// Modification time (mtime), nanoseconds since 1970.
    public let modified: Int64
    /// Change time (ctime), nanoseconds since 1970; no program can set it.
    public let changed: Int64
    /// Inode number.
    public let inode: UInt64
    /// ID of the device that holds the inode.
    public let device: UInt64

    /// The path for display, with invalid UTF-8 replaced.
    public var displayPath: String { String(decoding: path, as: UTF8.self) }

    /// Opens a video file; throws as `init(path: [UInt8])`.
    public convenience init(path: String) throws { try self.init(path: Array(path.utf8)) }

    /// Opens a video file and checks its first bytes.
    ///
    /// - Throws: `cannot_read`, `not_a_regular_file`, `empty_file`; `still_image`, `playlist`, `moov_missing` and
    ///   `damaged_header` by the first bytes.
    public convenience init(path: [UInt8]) throws {
        try self.init(opening: path)
        try sniff()
    }

    /// Opens a file that may be a still image.
    ///
    /// - Throws: `cannot_read`, `not_a_regular_file`, `empty_file`.
    public convenience init(image path: [UInt8]) throws { try self.init(opening: path) }

    private init(opening path: [UInt8]) throws {
        self.path = path
        guard !path.contains(0) else { throw MediaError.cannotRead("the path contains a NUL byte") }
        // O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
        let opened = (path.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { name -> Int32 in
            guard let name = name.baseAddress else { return -1 }
            return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        }
        guard opened >= 0 else {
            // Sockets cannot be opened; open() fails with ENXIO, whose text is about a missing device.
            if errno == ENXIO { throw MediaError.notRegular("a socket or a missing device") }
            if errno == EMFILE || errno == ENFILE { throw MediaError.limit("cannot open", errno) }
            throw MediaError.cannotRead(errno: errno)
        }
        descriptor = opened
        var status = stat()
        let known = fstat(opened, &status) == 0
        size = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        guard known else { throw MediaError.cannotRead(errno: errno) }
        if let kind = Self.kind(status.st_mode) { throw MediaError.notRegular(kind) }
        guard size > 0 else {
            // Files in /proc and /sys report size 0 although they have content.
            var byte: UInt8 = 0
            throw pread(opened, &byte, 1, 0) > 0
                ? MediaError.notRegular("a kernel file (/proc, /sys)") : MediaError.empty()
        }
    }

    /// Takes ownership of an open descriptor with content of known size, such as a pipe saved to a temporary file.
    public init(descriptor: Int32, name: String) throws {
        path = Array(name.utf8)
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw MediaError.cannotRead(errno: errno) }
        size = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        guard size > 0 else { throw MediaError.empty() }
        try sniff()
    }

    /// Wraps around after the year 2262; the value is only compared for equality.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    deinit { close(descriptor) }

    /// True if the path still refers to the same content: same inode, size, modification time and change time.
    ///
    /// If only a time differs (after chmod or a new link), the content may still be the same; compare it.
    public var isUnchanged: Bool {
        var now = stat()
        let found = (path.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { name -> Int32 in
            guard let name = name.baseAddress else { return -1 }
            return stat(name, &now)
        }
        guard found == 0 else { return false }
        return UInt64(now.st_ino) == inode && Int64(now.st_size) == size
            && Self.nanoseconds(now.st_mtim) == modified && Self.nanoseconds(now.st_ctim) == changed
    }

    private static func kind(_ mode: mode_t) -> String? {
        switch mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a directory"
        case S_IFIFO: "a pipe (FIFO)"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: "a file of unknown kind"
        }
    }

    /// Rejects files that are not video by their first bytes, with a clearer error than a demuxer would give.
    private func sniff() throws {
        var head = [UInt8](repeating: 0, count: 1024)
        let count = pread(descriptor, &head, head.count, 0)
        guard count >= 0 else { throw MediaError.cannotRead(errno: errno) }
        head.removeSubrange(count...)
        func starts(_ text: String) -> Bool { head.starts(with: Array(text.utf8)) }
        func holds(_ text: String, at offset: Int) -> Bool {
            head.count >= offset + text.utf8.count && head[offset...].starts(with: Array(text.utf8))
        }
        if head.starts(with: [0x89, 0x50, 0x4E, 0x47]) { throw MediaError.stillImage("PNG") }
        if head.starts(with: [0xFF, 0xD8, 0xFF]) { throw MediaError.stillImage("JPEG") }
        if starts("GIF8") { throw MediaError.stillImage("GIF") }
        if starts("RIFF"), holds("WEBP", at: 8) { throw MediaError.stillImage("WebP") }
        if starts("BM"), head.count > 14, head[14] == 40 { throw MediaError.stillImage("BMP") }
        if starts("II*\0") || starts("MM\0*") { throw MediaError.stillImage("TIFF") }
        let text = String(decoding: head, as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
        if text.hasPrefix("#EXTM3U") { throw MediaError.playlist("m3u8") }
        if text.hasPrefix("ffconcat") || text.hasPrefix("file '") { throw MediaError.playlist("concat script") }
        if text.hasPrefix("<"), text.contains("<MPD") { throw MediaError.playlist("MPEG-DASH manifest") }
        if text.hasPrefix("[playlist]") { throw MediaError.playlist("pls") }
        try checkMoov(head)
    }

    /// Rejects an MP4 without a movie box; walks its top-level boxes in a few reads.
    private func checkMoov(_ head: [UInt8]) throws {
        guard head.count >= 16 else { return }
        // QuickTime files that predate the ftyp box start with one of the other boxes.
        guard ["ftyp", "mdat", "wide", "free", "skip"].contains(where: { head[4..<8].elementsEqual($0.utf8) }) else {
            return
        }
        var boxes = BoxReader(descriptor: descriptor, readLimit: 10_000)
        var offset: Int64 = 0
        while offset < size, let box = boxes.box(at: offset) {
            // A moov box that was written last and then cut off indexes only some of the frames.
            if box.is("moov"), box.length <= size - offset { return }
            guard box.length >= 8, box.length <= size - offset else { break }
            offset += box.length
        }
        if let movie = findMovie(from: offset) {
            throw MediaError.damagedHeader(
                "MP4", "the box at byte \(offset) has an impossible length; the index is at byte \(movie)")
        }
        throw MediaError.moovMissing()
    }

    /// Finds a movie box that the box lengths do not lead to; searches 8 MiB around `offset` and the last 8 MiB.
    private func findMovie(from offset: Int64) -> Int64? {
        let searched = 8 << 20
        for start in Set([max(0, offset - Int64(searched / 2)), max(0, size - Int64(searched))]).sorted()
        where start < size {
            let bytes = FileBytes.read(descriptor, at: start, count: searched)
            guard bytes.count > 16 else { continue }
            // Matches size, "moov", size, "mvhd".
            for index in 4..<bytes.count - 12 where bytes[index] == 0x6D && bytes[index + 8] == 0x6D {
                guard bytes[index..<index + 4].elementsEqual("moov".utf8),
                    bytes[index + 8..<index + 12].elementsEqual("mvhd".utf8)
                else { continue }
                let length = BoxReader.integer(bytes[index - 4..<index])
                let box = start + Int64(index) - 4
                if length <= size - box { return box }
            }
        }
        return nil
    }
}
