import Glibc
import SystemCalls

/// The metadata of a file by which it can be recognized without reading it.
///
/// Size in bytes, times in nanoseconds since 1970. The change time (ctime) cannot be set by a program, unlike the
/// others.
public struct FileFingerprint: Sendable, Equatable {
    /// File size.
    public var size: Int64
    /// Modification time (mtime).
    public var modified: Int64
    /// The change time (ctime); nil if unknown.
    public var changed: Int64?
    /// Inode of the file.
    public var inode: UInt64
    /// Device number of the file system, on some file systems different after each mount; nil if unknown.
    public var device: UInt64?

    /// Creates a fingerprint from these values.
    public init(size: Int64, modified: Int64, changed: Int64?, inode: UInt64, device: UInt64? = nil) {
        self.size = size
        self.modified = modified
        self.changed = changed
        self.inode = inode
        self.device = device
    }

    init(_ status: stat) {
        self.init(
            size: Int64(status.st_size), modified: Self.nanoseconds(status.st_mtim),
            changed: Self.nanoseconds(status.st_ctim), inode: UInt64(status.st_ino), device: UInt64(status.st_dev))
    }

    /// Reads the fingerprint of the file at `path` (bytes, links are followed); nil if that fails.
    public init?(path: [UInt8]) {
        guard !path.contains(0),
            let status = try? SystemCall.status(of: path.map { CChar(bitPattern: $0) } + [0])
        else { return nil }
        self.init(status)
    }

    /// Converts to nanoseconds; wraps around after the year 2262, which is harmless since values are only compared.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Returns true if size, inode and both times are equal; an unknown change time equals nothing. The device may
    /// differ.
    public func equals(_ other: FileFingerprint) -> Bool {
        isLike(other) && changed != nil && changed == other.changed
    }

    /// Returns true if size, inode and modification time are equal.
    public func isLike(_ other: FileFingerprint) -> Bool {
        size == other.size && modified == other.modified && inode == other.inode
    }

    /// Returns true if a file with this fingerprint at `now` has the content that was read at `checked`.
    ///
    /// Implausible times prove nothing: unset clocks, the future, a modification after the last change. Neither does a
    /// change so close to the read that a later write could have the same time ("racy", as in git's index).
    public func proves(readAt checked: Int64?, now: Int64 = Self.now) -> Bool {
        guard let changed, let checked else { return false }
        let day: Int64 = 86_400_000_000_000
        guard modified > day, changed > day, modified <= now, changed <= now else { return false }
        return modified <= changed &+ Self.granularity && modified <= checked && changed <= checked &- Self.granularity
    }

    /// 2 s in nanoseconds: the coarsest timestamp of a file system in use, FAT's.
    private static let granularity: Int64 = 2_000_000_000

    /// The current wall-clock time in nanoseconds since 1970.
    public static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return nanoseconds(time)
    }
}
