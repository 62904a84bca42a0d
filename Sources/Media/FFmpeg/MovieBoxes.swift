import Glibc

/// Walks the boxes of an MP4 by their headers, with a limited total number of reads.
struct MovieBoxes {
    let descriptor: Int32
    private var readsLeft = 20_000

    init(descriptor: Int32) { self.descriptor = descriptor }

    mutating func read(_ count: Int, at offset: Int64) -> [UInt8]? {
        guard readsLeft > 0, count > 0 else { return nil }
        readsLeft -= 1
        var bytes = [UInt8](repeating: 0, count: count)
        let got = pread(descriptor, &bytes, count, off_t(offset))
        return got > 0 ? Array(bytes.prefix(got)) : nil
    }

    mutating func first(_ type: String, in range: Range<Int64>) -> Range<Int64>? {
        all(type, in: range, limit: 1).first
    }

    /// The content ranges of the boxes of this type within a range of the file.
    mutating func all(_ type: String, in range: Range<Int64>, limit: Int = 1000) -> [Range<Int64>] {
        var found: [Range<Int64>] = []
        var offset = range.lowerBound
        while offset + 8 <= range.upperBound, found.count < limit, let head = read(16, at: offset), head.count >= 8 {
            var (length, header) = (Self.number(head[0..<4]), Int64(8))
            if length == 1, head.count == 16 { (length, header) = (Self.number(head[8..<16]), 16) }
            if length == 0 { length = range.upperBound - offset }
            guard length >= header, length <= range.upperBound - offset else { break }
            if head[4..<8].elementsEqual(type.utf8) { found.append(offset + header..<offset + length) }
            offset += length
        }
        return found
    }

    /// A big-endian integer; values above `Int64.max` are clamped to it.
    static func number(_ bytes: ArraySlice<UInt8>) -> Int64 {
        Int64(clamping: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    mutating func timeScale(_ header: Range<Int64>) -> UInt32? {
        guard let bytes = read(32, at: header.lowerBound), bytes.count >= 24 else { return nil }
        return UInt32(clamping: bytes[0] == 1 ? Self.number(bytes[20..<24]) : Self.number(bytes[12..<16]))
    }

    mutating func trackID(_ header: Range<Int64>) -> Int32? {
        guard let bytes = read(32, at: header.lowerBound), bytes.count >= 24 else { return nil }
        return Int32(clamping: bytes[0] == 1 ? Self.number(bytes[20..<24]) : Self.number(bytes[12..<16]))
    }
}
