import Glibc

/// What the file system says of a file, by which it can be known again without being read.
///
/// Sizes in bytes, times in nanoseconds since 1970. Nobody can set the change time (ctime), whatever is done to the others.
public struct FileFingerprint: Sendable, Equatable {
    public var size: Int64
    public var modified: Int64
    /// nil where it is not known.
    public var changed: Int64?
    public var inode: UInt64
    /// The file system's number, another one after each mount on some; nil where it is not known.
    public var device: UInt64?

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

    /// What the file at `path` (bytes, links followed) is; nil with `errno` where there is none.
    public init?(path: [UInt8]) {
        var status = stat()
        guard !path.contains(0) else {
            errno = ENOENT
            return nil
        }
        let found = (path.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { name -> Int32 in
            guard let name = name.baseAddress else { return -1 }
            return stat(name, &status)
        }
        guard found == 0 else { return nil }
        self.init(status)
    }

    /// Beyond the year 2262 the value wraps around; it only has to be the same one each time.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Whether size, inode and both times are equal; an unknown change time equals nothing. The device may differ.
    public func equals(_ other: FileFingerprint) -> Bool {
        isLike(other) && changed != nil && changed == other.changed
    }

    /// Whether size, inode and modification time are equal.
    public func isLike(_ other: FileFingerprint) -> Bool {
        size == other.size && modified == other.modified && inode == other.inode
    }

    /// Whether a file that has this fingerprint at `now` has the content that was read at `checked`.
    ///
    /// Times that cannot be true prove nothing: unset clocks, the future, a modification after the last change. Nor does a
    /// change so near to the reading that a later write could have the same time (as git's index: "racy").
    public func proves(readAt checked: Int64?, now: Int64 = Self.now) -> Bool {
        guard let changed, let checked else { return false }
        let day: Int64 = 86_400_000_000_000
        guard modified > day, changed > day, modified <= now, changed <= now else { return false }
        return modified <= changed &+ Self.granularity && modified <= checked && changed <= checked &- Self.granularity
    }

    /// The coarsest clock of a file system in use, FAT's.
    private static let granularity: Int64 = 2_000_000_000

    /// The time by the clock, in nanoseconds since 1970.
    public static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return nanoseconds(time)
    }
}
