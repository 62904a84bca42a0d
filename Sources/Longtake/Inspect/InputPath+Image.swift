internal import Glibc

extension InputPath {
    /// True if the file begins as a PNG, JPEG or WebP image does.
    package var isImage: Bool {
        guard !isStandardInput, let file = withCString({ fopen($0, "rb") }) ?? nil else { return false }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 12)
        guard fread(&bytes, 1, 12, file) == 12 else { return false }
        let isWebP = Array(bytes[..<4]) == Array("RIFF".utf8) && Array(bytes[8...]) == Array("WEBP".utf8)
        return isWebP || Array(bytes[..<4]) == [0x89, 0x50, 0x4E, 0x47] || Array(bytes[..<3]) == [0xFF, 0xD8, 0xFF]
    }
}
