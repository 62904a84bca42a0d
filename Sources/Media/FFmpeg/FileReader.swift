import CFFmpeg
import Glibc

/// Reads an open descriptor for libavformat: the library never sees a file name, so it cannot act on one.
final class FileReader {
    let descriptor: Int32
    /// File offset at which reading starts; all positions except `highWater` are relative to it.
    let base: Int64
    /// Bytes from `base` to the end of the file.
    let size: Int64
    /// Bytes of the whole file.
    let fileSize: Int64
    private var position: Int64 = 0
    /// Highest file offset read so far; progress is measured by it.
    private(set) var highWater: Int64 = 0
    private(set) var failure: Int32 = 0
    /// Position at which reading stops as if at the end of the file.
    var limit = Int64.max
    private var tables = ProgramTables()

    init(descriptor: Int32, size: Int64, base: Int64 = 0) {
        self.descriptor = descriptor
        fileSize = size
        self.size = max(0, size - base)
        self.base = base
    }

    func rewind() { position = 0 }

    /// The position at which a transport stream's program table gives a PID another codec; reading stops there.
    var change: ProgramTables.Change? { tables.change }

    /// A reader of the same file that starts at `offset`, relative to `base`.
    func from(_ offset: Int64) -> FileReader {
        FileReader(descriptor: descriptor, size: fileSize, base: base + offset)
    }

    /// Up to `count` bytes of the file, fewer at its end; does not move libavformat's read position.
    func bytes(at offset: Int64, count: Int) -> [UInt8] {
        guard offset >= 0, count > 0, !offset.addingReportingOverflow(base).overflow else { return [] }
        return FileBytes.read(descriptor, at: base + offset, count: count)
    }

    /// An independent reader of the same range, starting from its beginning.
    func another() -> FileReader { from(0) }

    /// Reads for libavformat; returns the number of bytes or a status.
    func read(_ buffer: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> Int32 {
        guard let buffer, count > 0 else { return AVERROR(EINVAL) }
        while true {
            let end = min(limit, tables.change?.end ?? .max)
            guard position < end else { return AVERROR_EOF }
            var got = pread(descriptor, buffer, Int(count), off_t(base + position))
            if got > 0 {
                tables.scan(UnsafeBufferPointer(start: buffer, count: got), position: position)
                if let change = tables.change {
                    got = Int(clamping: min(Int64(got), change.end - position))
                    guard got > 0 else { return AVERROR_EOF }
                }
                position += Int64(got)
                highWater = max(highWater, base + position)
                return Int32(got)
            }
            if got == 0 { return AVERROR_EOF }
            if errno == EINTR { continue }
            failure = errno
            return AVERROR(errno)
        }
    }

    /// Moves libavformat's read position; returns it, or the size for `AVSEEK_SIZE`.
    func seek(_ offset: Int64, _ whence: Int32) -> Int64 {
        switch SeekTarget(offset, whence, position: position, size: size) {
        case .size: return size
        case .position(let target):
            position = target
            return position
        case nil: return Int64(AVERROR(EINVAL))
        }
    }
}
