/// The class of a code point in the splitters' regular expressions: letter, number, white space or other.
enum UnicodeClass: UInt8, Sendable {
    case other = 0
    case letter = 1
    case number = 2
    case space = 3

    /// The class of a code point, from tables frozen at Unicode 14.
    @inline(__always)
    static func of(_ scalar: UInt32) -> UnicodeClass {
        pages.lookup(scalar)
    }

    private static let pages = UnicodePages()
}

/// A two-level table from code point to class; pages of 256 code points of one class are stored once.
private struct UnicodePages: Sendable {
    private var pageOf: [UInt16]  // [0x1100]: code point / 256 → stored page
    private var classes: [UInt8]  // [stored pages, 256]: raw values of UnicodeClass

    init() {
        // The first four pages are uniform, one per class, indexed by its raw value.
        pageOf = [UInt16](repeating: UInt16(UnicodeClass.other.rawValue), count: 0x1100)
        classes = (0...UnicodeClass.space.rawValue).flatMap { [UInt8](repeating: $0, count: 256) }
        let uniformPages = UInt16(classes.count / 256)
        for (table, kind) in [
            (UnicodeTables.letters, UnicodeClass.letter), (UnicodeTables.numbers, .number),
            (UnicodeTables.whiteSpace, .space),
        ] {
            Self.forEachRange(table) { range in
                for page in range.lowerBound >> 8...range.upperBound >> 8 where page < pageOf.count {
                    let part = range.clamped(to: page << 8...page << 8 | 0xFF)
                    if part.count == 256 {
                        pageOf[page] = UInt16(kind.rawValue)
                        continue
                    }
                    if pageOf[page] < uniformPages {  // shared: copy before writing
                        let start = Int(pageOf[page]) << 8
                        pageOf[page] = UInt16(classes.count / 256)
                        classes += classes[start..<start + 256]
                    }
                    let start = Int(pageOf[page]) << 8
                    for scalar in part { classes[start | scalar & 0xFF] = kind.rawValue }
                }
            }
        }
    }

    @inline(__always)
    func lookup(_ scalar: UInt32) -> UnicodeClass {
        guard scalar < 0x110000 else { return .other }
        let page = Int(pageOf[Int(scalar >> 8)])
        return UnicodeClass(rawValue: classes[page << 8 | Int(scalar & 0xFF)]) ?? .other
    }

    /// Calls `body` with each code point range of a table in the format of `UnicodeTables`.
    private static func forEachRange(_ table: StaticString, _ body: (ClosedRange<Int>) -> Void) {
        for item in table.description.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let ends = item.split(separator: "-").compactMap { Int($0, radix: 16) }
            guard let first = ends.first, let last = ends.last, first <= last else { continue }
            body(first...last)
        }
    }
}

/// A code point and its length in bytes of UTF-8.
struct DecodedScalar {
    var value: UInt32
    var length: Int
}

/// Decodes the code point at `index` of valid UTF-8.
///
/// At the end, the length is 0 and the value 0x110000, which is of class `other`. A sequence cut off by the end is
/// decoded as U+FFFD with length 1.
@inline(__always)
func decodeScalar(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> DecodedScalar {
    guard index < bytes.count else { return DecodedScalar(value: 0x11_0000, length: 0) }
    let first = UInt32(bytes[index])
    if first < 0x80 { return DecodedScalar(value: first, length: 1) }
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    guard index + length <= bytes.count else { return DecodedScalar(value: 0xFFFD, length: 1) }
    var value = length == 4 ? first & 0x07 : length == 3 ? first & 0x0F : first & 0x1F
    for offset in 1..<length { value = value << 6 | UInt32(bytes[index + offset]) & 0x3F }
    return DecodedScalar(value: value, length: length)
}

/// Appends a code point as UTF-8.
func appendUTF8(_ scalar: UInt32, to bytes: inout [UInt8]) {
    switch scalar {
    case 0..<0x80: bytes.append(UInt8(scalar))
    case 0x80..<0x800:
        bytes.append(0xC0 | UInt8(scalar >> 6))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
    case 0x800..<0x10000:
        bytes.append(0xE0 | UInt8(scalar >> 12))
        bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
    default:
        bytes.append(0xF0 | UInt8(scalar >> 18 & 0x07))
        bytes.append(0x80 | UInt8(scalar >> 12 & 0x3F))
        bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
    }
}
