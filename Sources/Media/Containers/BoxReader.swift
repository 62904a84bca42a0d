/// Reads the boxes of an MP4 or QuickTime file by their headers, with a limited total number of reads.
///
/// Source: ISO/IEC 14496-12, 4.2.
struct BoxReader {
    /// A box's header.
    struct Box {
        /// Offset of the header in the file.
        let offset: Int64
        /// Four-character code.
        let type: ArraySlice<UInt8>
        /// Bytes of the header: 8, or 16 if it has a 64-bit length.
        let headerLength: Int64
        /// Bytes of the box with its header, unchecked; 0 means up to the end of what contains it.
        let length: Int64

        func `is`(_ name: String) -> Bool { type.elementsEqual(name.utf8) }
    }

    private let descriptor: Int32
    private var readsLeft: Int

    init(descriptor: Int32, readLimit: Int = 20_000) {
        self.descriptor = descriptor
        readsLeft = readLimit
    }

    /// Reads up to `count` bytes; nil at the end of the file and after the last permitted read.
    mutating func read(_ count: Int, at offset: Int64) -> [UInt8]? {
        guard readsLeft > 0, count > 0 else { return nil }
        readsLeft -= 1
        let bytes = FileBytes.read(descriptor, at: offset, count: count)
        return bytes.isEmpty ? nil : bytes
    }

    /// Reads the header of the box at `offset`; nil if the file ends within it.
    mutating func box(at offset: Int64) -> Box? {
        guard let head = read(16, at: offset), head.count >= 8 else { return nil }
        let length = Self.integer(head[0..<4])
        guard length == 1 else { return Box(offset: offset, type: head[4..<8], headerLength: 8, length: length) }
        guard head.count == 16 else { return nil }
        return Box(offset: offset, type: head[4..<8], headerLength: 16, length: Self.integer(head[8..<16]))
    }

    /// The content ranges of the boxes of this type within a range of the file.
    mutating func all(_ type: String, in range: Range<Int64>, limit: Int = 1000) -> [Range<Int64>] {
        var found: [Range<Int64>] = []
        var offset = range.lowerBound
        while offset + 8 <= range.upperBound, found.count < limit, let box = box(at: offset) {
            let length = box.length == 0 ? range.upperBound - offset : box.length
            guard length >= box.headerLength, length <= range.upperBound - offset else { break }
            if box.is(type) { found.append(offset + box.headerLength..<offset + length) }
            offset += length
        }
        return found
    }

    /// The content range of the first box on a path of types, each inside the one before it.
    mutating func first(_ path: String..., in range: Range<Int64>) -> Range<Int64>? {
        var range = range
        for type in path {
            guard let inner = all(type, in: range, limit: 1).first else { return nil }
            range = inner
        }
        return range
    }

    /// The content range of the track with this ID.
    mutating func track(_ id: Int32, in movie: Range<Int64>) -> Range<Int64>? {
        for track in all("trak", in: movie) {
            guard let header = first("tkhd", in: track) else { continue }
            if fieldAfterDates(header).map({ Int32(clamping: $0) }) == id { return track }
        }
        return nil
    }

    /// The time scale of a movie header box: its units per second.
    mutating func timeScale(_ header: Range<Int64>) -> UInt32? {
        fieldAfterDates(header).map { UInt32(clamping: $0) }
    }

    /// The field after the two dates of a movie or track header box, which version 1 of the box writes in 64 bits.
    private mutating func fieldAfterDates(_ header: Range<Int64>) -> Int64? {
        guard let bytes = read(32, at: header.lowerBound), bytes.count >= 24 else { return nil }
        return bytes[0] == 1 ? Self.integer(bytes[20..<24]) : Self.integer(bytes[12..<16])
    }

    /// A big-endian integer; values above `Int64.max` are clamped to it.
    static func integer(_ bytes: ArraySlice<UInt8>) -> Int64 {
        Int64(clamping: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
