import Glibc
import SystemCalls

/// Reads a tokenizer file completely, up to a size limit.
enum TokenizerFile {
    /// 64 MiB: the largest tokenizer.json in use has about 35.
    static let maximumBytes = 64 << 20

    /// The file's bytes; nil if it does not exist. Throws if it is not a regular file, too large or unreadable.
    static func read(_ path: String, limit: Int = maximumBytes) throws -> [UInt8]? {
        let descriptor: Int32
        do {
            descriptor = try SystemCall.open(path, O_RDONLY | O_NONBLOCK)
        } catch {
            if error.number == ENOENT || error.number == ENOTDIR { return nil }
            throw TokenizerError.unreadable(path, "\(error)")
        }
        defer { close(descriptor) }
        do {
            let status = try SystemCall.status(descriptor)
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw TokenizerError.unreadable(path, "not a regular file")
            }
            let size = Int(status.st_size)
            guard size <= limit else { throw TokenizerError.tooLarge(path, bytes: size, limit: limit) }
            return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                count = try SystemCall.read(descriptor, UnsafeMutableRawBufferPointer(buffer), at: 0)
            }
        } catch let error as SystemError {
            throw TokenizerError.unreadable(path, "\(error)")
        }
    }
}
