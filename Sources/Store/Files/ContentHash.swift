import CCrypto
import Glibc

/// SHA-256, which identifies a recording's content.
public enum ContentHash {
    /// Returns the SHA-256 of `bytes` as 64 lowercase hexadecimal digits.
    public static func sha256(_ bytes: [UInt8]) -> String {
        sha256 { piece in bytes.withUnsafeBytes { piece($0) } }
    }

    /// Returns the SHA-256 of bytes that arrive in pieces.
    public static func sha256(pieces: ((UnsafeRawBufferPointer) -> Void) -> Void) -> String {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var digest = [UInt8](repeating: 0, count: 32)
        var isDone = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
        pieces { isDone = isDone && EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
        isDone = isDone && EVP_DigestFinal_ex(context, &digest, nil) == 1
        // Fails only without memory or with a libcrypto without SHA-256, never because of the input.
        precondition(isDone, "libcrypto has no SHA-256")
        return hex(digest)
    }

    /// Returns the SHA-256 of an open file, from its first byte to its end, as 64 hexadecimal digits.
    ///
    /// The file offset is not changed. `progress` gets the number of bytes hashed so far, once per MiB; an error it
    /// throws ends the hashing. Throws `StoreError` `.io` if the file cannot be read.
    public static func sha256(fileDescriptor: Int32, progress: (Int64) throws -> Void) throws -> String {
        guard let context = EVP_MD_CTX_new() else { throw StoreError.hashing("out of memory") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw StoreError.hashing("not available") }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = 0
        while true {
            let got = try Posix.pread(fileDescriptor, buffer, offset: offset, path: "the recording")
            if got > 0 {
                guard EVP_DigestUpdate(context, buffer.baseAddress, got) == 1 else {
                    throw StoreError.hashing("update refused")
                }
                offset += got
                try progress(Int64(offset))
            }
            if got < buffer.count { break }
        }
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_DigestFinal_ex(context, &digest, nil) == 1 else { throw StoreError.hashing("final refused") }
        return hex(digest)
    }

    /// Returns, by length, the SHA-256 of an open file's first bytes, as 64 hexadecimal digits; it is read once.
    ///
    /// A length beyond the file's end is left out. `progress` is called once per MiB; an error it throws ends the
    /// hashing. Throws `StoreError` `.io` if the file cannot be read.
    public static func sha256(
        fileDescriptor: Int32, firstBytes lengths: [Int64], progress: () throws -> Void
    ) throws -> [Int64: String] {
        guard let context = EVP_MD_CTX_new(), let copy = EVP_MD_CTX_new() else {
            throw StoreError.hashing("out of memory")
        }
        defer {
            EVP_MD_CTX_free(context)
            EVP_MD_CTX_free(copy)
        }
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw StoreError.hashing("not available") }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var found: [Int64: String] = [:]
        var offset = 0
        for length in Set(lengths).filter({ $0 >= 0 }).sorted() {
            guard let end = Int(exactly: length) else { break }
            while offset < end {
                try progress()
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - offset)])
                let got = try Posix.pread(fileDescriptor, piece, offset: offset, path: "the recording")
                guard got > 0 else { return found }
                guard EVP_DigestUpdate(context, piece.baseAddress, got) == 1 else {
                    throw StoreError.hashing("update refused")
                }
                offset += got
            }
            var digest = [UInt8](repeating: 0, count: 32)
            guard EVP_MD_CTX_copy_ex(copy, context) == 1, EVP_DigestFinal_ex(copy, &digest, nil) == 1 else {
                throw StoreError.hashing("final refused")
            }
            found[length] = hex(digest)
        }
        return found
    }

    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// SHA-256 of bytes that arrive in pieces.
final class RunningContentHash {
    private let context: OpaquePointer

    /// Throws `StoreError` `.io` without memory or with a libcrypto without SHA-256.
    init() throws {
        guard let context = EVP_MD_CTX_new() else { throw StoreError.hashing("out of memory") }
        self.context = context
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw StoreError.hashing("not available") }
    }

    deinit { EVP_MD_CTX_free(context) }

    func add(_ bytes: UnsafeRawBufferPointer) throws {
        guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
            throw StoreError.hashing("update refused")
        }
    }

    /// Returns the hash as 64 lowercase hexadecimal digits; nothing can be added afterwards.
    func finish() throws -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_DigestFinal_ex(context, &digest, nil) == 1 else { throw StoreError.hashing("final refused") }
        return ContentHash.hex(digest)
    }
}
