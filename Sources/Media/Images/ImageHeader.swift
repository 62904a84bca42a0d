/// The format and size an image file declares, read before memory is allocated for its pixels.
struct ImageHeader {
    enum Format: String {
        case png = "PNG"
        case jpeg = "JPEG"
        case webp = "WebP"
    }

    let format: Format
    let width: Int
    let height: Int

    /// Throws `picture_unsupported` unless the magic bytes are PNG, JPEG or WebP, and `picture_unreadable` if there is
    /// no size.
    init(_ bytes: [UInt8]) throws {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            format = .png
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            format = .jpeg
        } else if bytes.starts(with: "RIFF".utf8), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
            format = .webp
        } else {
            throw ImageError.notAImage
        }
        let size =
            switch format {
            case .png: Self.pngSize(bytes)
            case .jpeg: Self.jpegSize(bytes)
            case .webp: Self.webpSize(bytes)
            }
        guard let size else { throw ImageError.damaged(format.rawValue, "its header is damaged") }
        (width, height) = size
    }

    /// `count` bytes at `offset` as an integer, or nil past the end.
    private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int, littleEndian: Bool = false) -> Int? {
        guard offset >= 0, offset <= bytes.count - count else { return nil }
        let field = bytes[offset..<(offset + count)]
        return littleEndian ? field.reversed().reduce(0) { $0 << 8 | Int($1) } : field.reduce(0) { $0 << 8 | Int($1) }
    }

    private static func pngSize(_ bytes: [UInt8]) -> (Int, Int)? {
        guard bytes.dropFirst(12).starts(with: "IHDR".utf8), let width = number(bytes, 16, 4),
            let height = number(bytes, 20, 4)
        else { return nil }
        return (width, height)
    }

    /// Walks the segments to the first start-of-frame.
    private static func jpegSize(_ bytes: [UInt8]) -> (Int, Int)? {
        var offset = 2
        while let marker = number(bytes, offset, 2) {
            if marker == 0xFFFF {
                offset += 1  // Fill bytes may precede a marker.
                continue
            }
            guard marker >> 8 == 0xFF else { return nil }
            let kind = marker & 0xFF
            if kind == 0x01 || (0xD0...0xD7).contains(kind) {
                offset += 2
                continue
            }
            // 0xC4, 0xC8 and 0xCC are tables; 0xDA starts the coded data.
            if (0xC0...0xCF).contains(kind), kind != 0xC4, kind != 0xC8, kind != 0xCC {
                guard let height = number(bytes, offset + 5, 2), let width = number(bytes, offset + 7, 2) else {
                    return nil
                }
                return (width, height)
            }
            guard kind != 0xDA, kind != 0xD9, let length = number(bytes, offset + 2, 2), length >= 2 else { return nil }
            offset += 2 + length
        }
        return nil
    }

    private static func webpSize(_ bytes: [UInt8]) -> (Int, Int)? {
        let chunk = bytes.dropFirst(12)
        if chunk.starts(with: "VP8X".utf8) {
            guard let width = number(bytes, 24, 3, littleEndian: true),
                let height = number(bytes, 27, 3, littleEndian: true)
            else { return nil }
            return (width + 1, height + 1)
        }
        if chunk.starts(with: "VP8L".utf8) {
            guard number(bytes, 20, 1) == 0x2F, let bits = number(bytes, 21, 4, littleEndian: true) else { return nil }
            return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        }
        guard chunk.starts(with: "VP8 ".utf8), number(bytes, 23, 3) == 0x9D012A,
            let width = number(bytes, 26, 2, littleEndian: true), let height = number(bytes, 28, 2, littleEndian: true)
        else { return nil }
        return (width & 0x3FFF, height & 0x3FFF)
    }
}
