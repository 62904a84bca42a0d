import CFFmpeg

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
                    guard let opaque else { return AVERROR(EINVAL) }
                    return Unmanaged<FileReader>.fromOpaque(opaque).takeUnretainedValue().read(buffer, count)
                }, nil,
                { opaque, offset, whence in
                    guard let opaque else { return Int64(AVERROR(EINVAL)) }
                    return Unmanaged<FileReader>.fromOpaque(opaque).takeUnretainedValue().seek(offset, whence)
                })
        else {
            av_free(buffer)
            throw MediaError.library("out of memory")
        }
        self.pointer = pointer
    }

    deinit {
        // libavformat may have replaced the buffer.
        av_free(pointer.pointee.buffer)
        var context: UnsafeMutablePointer<AVIOContext>? = pointer
        avio_context_free(&context)
    }
}
