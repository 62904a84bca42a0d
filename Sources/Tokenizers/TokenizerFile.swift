import Glibc

/// Reads a tokenizer file completely, up to a size limit.
enum TokenizerFile {
    /// 64 MiB: the largest tokenizer.json in use has about 35.
    static let maximumBytes = 64 << 20

    /// The file's bytes; nil if it does not exist. Throws if it is not a regular file, too large or unreadable.
    static func read(_ path: String, limit: Int = maximumBytes) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw TokenizerError.unreadable(path, String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw TokenizerError.unreadable(path, String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw TokenizerError.unreadable(path, "not a regular file") }
        let size = Int(status.st_size)
        guard size <= limit else { throw TokenizerError.tooLarge(path, bytes: size, limit: limit) }

        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size, let base = buffer.baseAddress {
                let got = Glibc.read(descriptor, base + count, size - count)
                if got > 0 {
                    count += got
                } else if got == 0 {
                    break
                } else if errno != EINTR {
                    failure = errno
                    break
                }
            }
        }
        guard failure == 0 else { throw TokenizerError.unreadable(path, String(cString: strerror(failure))) }
        return bytes
    }
}
