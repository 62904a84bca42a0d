import CFFmpeg
import Glibc

/// An open descriptor as libavformat reads it: no name ever reaches the library, so nothing in a name can be obeyed.
final class FileReader {
    private let descriptor: Int32
    private let size: Int64
    private var position: Int64 = 0
    /// The furthest byte read so far: what progress is measured by.
    private(set) var highWater: Int64 = 0
    private(set) var failure: Int32 = 0
    /// Where the file is taken to end.
    var limit = Int64.max

    init(descriptor: Int32, size: Int64) {
        self.descriptor = descriptor
        self.size = size
    }

    func rewind() { position = 0 }

    /// Bytes of the file, fewer at its end; where libavformat reads does not change.
    func bytes(at offset: Int64, count: Int) -> [UInt8] {
        guard offset >= 0, count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { base in base + done }, count - done, off_t(offset) + off_t(done))
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { break }
            done += got
        }
        return Array(bytes.prefix(done))
    }

    /// Reads the same file from its start, on its own.
    func another() -> FileReader { FileReader(descriptor: descriptor, size: size) }

    fileprivate func read(_ buffer: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> Int32 {
        guard let buffer, count > 0 else { return lt_averror(EINVAL) }
        guard position < limit else { return lt_averror_eof }
        while true {
            let got = pread(descriptor, buffer, Int(count), off_t(position))
            if got > 0 {
                position += Int64(got)
                highWater = max(highWater, position)
                return Int32(got)
            }
            if got == 0 { return lt_averror_eof }
            if errno == EINTR { continue }
            failure = errno
            return lt_averror(errno)
        }
    }

    fileprivate func seek(_ offset: Int64, _ whence: Int32) -> Int64 {
        let target: (Int64, Bool)
        switch whence & ~Int32(AVSEEK_FORCE) {
        case Int32(AVSEEK_SIZE): return size
        case SEEK_SET: target = (offset, false)
        case SEEK_CUR: target = position.addingReportingOverflow(offset)
        case SEEK_END: target = size.addingReportingOverflow(offset)
        default: return Int64(lt_averror(EINVAL))
        }
        guard !target.1, target.0 >= 0 else { return Int64(lt_averror(EINVAL)) }
        position = target.0
        return position
    }
}

/// Owns an AVIOContext over a `FileReader`.
struct IOContext: ~Copyable {
    let pointer: UnsafeMutablePointer<AVIOContext>

    /// `reader` must outlive the context.
    init(_ reader: FileReader) throws {
        let size = 64 << 10
        guard let buffer = av_malloc(size) else { throw MediaError.library("out of memory") }
        guard
            let pointer = avio_alloc_context(
                buffer.assumingMemoryBound(to: UInt8.self), Int32(size), 0,
                Unmanaged.passUnretained(reader).toOpaque(),
                { opaque, buffer, count in
                    guard let opaque else { return lt_averror(EINVAL) }
                    return Unmanaged<FileReader>.fromOpaque(opaque).takeUnretainedValue().read(buffer, count)
                }, nil,
                { opaque, offset, whence in
                    guard let opaque else { return Int64(lt_averror(EINVAL)) }
                    return Unmanaged<FileReader>.fromOpaque(opaque).takeUnretainedValue().seek(offset, whence)
                })
        else {
            av_free(buffer)
            throw MediaError.library("out of memory")
        }
        self.pointer = pointer
    }

    deinit {
        // libavformat may have replaced the buffer by another one.
        av_free(pointer.pointee.buffer)
        var context: UnsafeMutablePointer<AVIOContext>? = pointer
        avio_context_free(&context)
    }
}
