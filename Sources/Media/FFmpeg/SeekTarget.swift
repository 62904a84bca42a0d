import CFFmpeg
import Glibc

/// What libavformat asks an `AVIOContext`'s seek function for.
enum SeekTarget: Equatable {
    /// The size in bytes; the position stays.
    case size
    /// This position in bytes, 0 or more.
    case position(Int64)

    /// The target of a call; nil for a position before the start or beyond `Int64`, and for an unknown `whence`.
    ///
    /// - Parameter position: where reading or writing would continue.
    init?(_ offset: Int64, _ whence: Int32, position: Int64, size: Int64) {
        let target: (partialValue: Int64, overflow: Bool)
        switch whence & ~Int32(AVSEEK_FORCE) {
        case Int32(AVSEEK_SIZE):
            self = .size
            return
        case SEEK_SET: target = (offset, false)
        case SEEK_CUR: target = position.addingReportingOverflow(offset)
        case SEEK_END: target = size.addingReportingOverflow(offset)
        default: return nil
        }
        guard !target.overflow, target.partialValue >= 0 else { return nil }
        self = .position(target.partialValue)
    }
}
