internal import CCrypto
internal import Glibc
internal import SystemCalls

/// The hash that names a file in a hub cache: SHA-256 of a large file, SHA-1 as a Git blob of a small one.
final class BlobHash {
    private let context: OpaquePointer

    /// - Parameters:
    ///   - name: 64 or 40 hexadecimal digits, which determine the kind.
    ///   - size: the file's size in bytes, a part of Git's hash.
    init(like name: String, size: Int64) {
        guard let context = EVP_MD_CTX_new(),
            EVP_DigestInit_ex(context, name.utf8.count == 64 ? EVP_sha256() : EVP_sha1(), nil) == 1
        else {
            // Fails only without memory or with a libcrypto without these functions, never because of the input.
            preconditionFailure("libcrypto has no SHA-256 or SHA-1")
        }
        self.context = context
        if name.utf8.count != 64 { update(Array("blob \(size)".utf8) + [0]) }
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        let isDone = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
        precondition(isDone, "libcrypto cannot hash")
    }

    private func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The hash in lowercase hexadecimal digits; call it once.
    func digits() -> String {
        var digest = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        let isDone = EVP_DigestFinal_ex(context, &digest, &count) == 1
        precondition(isDone, "libcrypto cannot hash")
        return digest.prefix(Int(count)).map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Adds the first `count` bytes of an open file; stops at its end.
    ///
    /// - Parameter progress: gets the number of bytes of each read.
    func update(file: Int32, count: Int64, progress: (Int64) throws -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: Int64 = 0
        while offset < count {
            let part = UnsafeMutableRawBufferPointer(
                rebasing: buffer.prefix(Int(min(Int64(buffer.count), count - offset))))
            let got = try SystemCall.read(file, part, at: Int(offset))
            update(UnsafeRawBufferPointer(rebasing: part.prefix(got)))
            offset += Int64(got)
            try progress(Int64(got))
            if got < part.count { return }
        }
    }
}
