import CFFmpeg
import Glibc

/// Writes an open descriptor for libavformat, which never sees a file name.
final class OutputFile {
    private let descriptor: Int32
    private var position: Int64 = 0
    /// Bytes written so far, without gaps.
    private(set) var size: Int64 = 0
    /// errno of the first write that failed; 0 if none did.
    private(set) var failure: Int32 = 0

    init(descriptor: Int32) {
        self.descriptor = descriptor
        // A worker that was lost before this one may have written already, and the position is shared with it.
        lseek(descriptor, 0, SEEK_SET)
    }

    /// Forgets what was written; later bytes replace it.
    func restart() {
        size = 0
        _ = seek(0, SEEK_SET)
    }

    func write(_ buffer: UnsafePointer<UInt8>?, _ count: Int32) -> Int32 {
        guard let buffer, count >= 0 else { return AVERROR(EINVAL) }
        var done = 0
        while done < Int(count) {
            let wrote = Glibc.write(descriptor, buffer + done, Int(count) - done)
            if wrote < 0, errno == EINTR { continue }
            guard wrote > 0 else {
                if failure == 0 { failure = wrote < 0 ? errno : ENOSPC }
                return AVERROR(failure)
            }
            done += wrote
        }
        position += Int64(count)
        size = max(size, position)
        return count
    }

    func seek(_ offset: Int64, _ whence: Int32) -> Int64 {
        switch SeekTarget(offset, whence, position: position, size: size) {
        case .size: return size
        case .position(let target):
            guard lseek(descriptor, off_t(target), SEEK_SET) >= 0 else { return Int64(AVERROR(EINVAL)) }
            position = target
            return position
        case nil: return Int64(AVERROR(EINVAL))
        }
    }
}
