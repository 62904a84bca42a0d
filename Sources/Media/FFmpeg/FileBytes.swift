import Glibc

/// Reads an open file at given offsets, independently of its read position.
enum FileBytes {
    /// Reads up to `count` bytes; fewer at the end of the file or after an error.
    static func read(_ descriptor: Int32, at offset: Int64, count: Int) -> [UInt8] {
        guard offset >= 0, count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset) + off_t(done))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { break }
                done += got
            }
        }
    }
}
