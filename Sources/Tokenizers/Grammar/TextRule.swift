/// A text of limited length: well-formed UTF-8 on one line without control characters, in JSON quotes or bare.
///
/// The count of a state is 16 · the characters read, plus what is missing of the last one.
struct TextRule: Sendable {
    /// True for the content of a JSON string with the closing quote.
    let isQuoted: Bool
    /// Fewest and most characters (Unicode scalars; an escape is one).
    let fewest: Int32
    let most: Int32

    /// What is missing of a character. The names say which bytes may come next; after those, continuation bytes.
    private enum Missing: Int32 {
        case nothing, one, two, three, afterE0, afterED, afterF0, afterF4, afterC2, escaped, afterE2, afterE280
    }

    /// True if a byte is the quote that ends the text.
    func closes(_ count: Int32, _ byte: UInt8) -> Bool {
        isQuoted && byte == UInt8(ascii: "\"") && count & 15 == 0 && count >> 4 >= fewest
    }

    /// The count after one more byte of the text; nil if it may not come.
    func next(_ count: Int32, _ byte: UInt8) -> Int32? {
        let isContinuation = byte & 0xC0 == 0x80
        let base = count & ~15
        func wait(_ missing: Missing) -> Int32 { base | missing.rawValue }
        let done = base + 16
        switch Missing(rawValue: count & 15) {
        case .nothing: return first(count >> 4, byte).map { $0 == .nothing ? done : wait($0) }
        case .one: return isContinuation ? done : nil
        case .two: return isContinuation ? wait(.one) : nil
        case .three: return isContinuation ? wait(.two) : nil
        case .afterE0: return (0xA0...0xBF).contains(byte) ? wait(.one) : nil
        case .afterED: return (0x80...0x9F).contains(byte) ? wait(.one) : nil
        case .afterF0: return (0x90...0xBF).contains(byte) ? wait(.two) : nil
        case .afterF4: return (0x80...0x8F).contains(byte) ? wait(.two) : nil
        // Below U+00A0 are control characters.
        case .afterC2: return (0xA0...0xBF).contains(byte) ? done : nil
        case .afterE2: return byte == 0x80 ? wait(.afterE280) : isContinuation ? wait(.one) : nil
        // U+2028 and U+2029 end a line.
        case .afterE280: return isContinuation && byte != 0xA8 && byte != 0xA9 ? done : nil
        case .escaped: return "\"\\/bfnrt".utf8.contains(byte) ? done : nil
        case nil: return nil
        }
    }

    /// What is missing after the first byte of a character; nil if none begins with it.
    private func first(_ characters: Int32, _ byte: UInt8) -> Missing? {
        guard characters < most else { return nil }
        switch byte {
        case 0x22 where isQuoted: return nil
        case 0x5C where isQuoted: return .escaped
        // A bare text does not begin with a space, which would be stripped.
        case 0x20 where !isQuoted && characters == 0: return nil
        case 0x20..<0x7F: return .nothing
        case 0xC2: return .afterC2
        case 0xC3...0xDF: return .one
        case 0xE0: return .afterE0
        case 0xE2: return .afterE2
        case 0xED: return .afterED
        case 0xE1...0xEF: return .two
        case 0xF0: return .afterF0
        case 0xF1...0xF3: return .three
        case 0xF4: return .afterF4
        default: return nil
        }
    }

    /// Fewest bytes that end the text, the quote included.
    func fewestBytes(_ count: Int32) -> Int {
        let missing: Int32 =
            switch Missing(rawValue: count & 15) {
            case .nothing, nil: 0
            case .one, .afterC2, .escaped, .afterE280: 1
            case .two, .afterE0, .afterED, .afterE2: 2
            case .three, .afterF0, .afterF4: 3
            }
        let characters = count >> 4 + (missing > 0 ? 1 : 0)
        return Int(missing + max(0, fewest - characters) + (isQuoted ? 1 : 0))
    }

    /// The smallest count from which the same tokens of at most `length` bytes may follow.
    func canonical(_ count: Int32, tokenBytes length: Int) -> Int32 {
        let enough = max(fewest, 1)
        guard count >> 4 > enough, Int(most) - Int(count >> 4) > length + 1 else { return count }
        return enough << 4 | count & 15
    }
}
