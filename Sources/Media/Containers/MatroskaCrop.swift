/// The cropping of a Matroska track, read from the elements before the first cluster.
struct MatroskaCrop {
    private let reader: FileReader
    private var readsLeft = 10_000
    private var video: Int
    private var found: String?

    static func find(_ reader: FileReader, video: Int) -> String? {
        var search = MatroskaCrop(reader: reader, video: video)
        search.walk(0..<reader.size, depth: 0)
        return search.found
    }

    private init(reader: FileReader, video: Int) {
        self.reader = reader
        self.video = video
    }

    private static let (segment, tracks, cluster, entry, kind, settings) = (
        UInt64(0x1853_8067), UInt64(0x1654_AE6B), UInt64(0x1F43_B675), UInt64(0xAE), UInt64(0x83), UInt64(0xE0)
    )
    private static let sides: [UInt64: String] = [0x54AA: "bottom", 0x54BB: "top", 0x54CC: "left", 0x54DD: "right"]

    /// Parses an element ID (with its length marker) or a length (without the marker).
    ///
    /// Returns nil if the bytes are invalid. `value` is nil for an unknown length.
    private static func number(_ bytes: ArraySlice<UInt8>, isLength: Bool) -> (value: UInt64?, count: Int)? {
        guard let first = bytes.first, first != 0 else { return nil }
        let count = first.leadingZeroBitCount + 1
        guard bytes.count >= count else { return nil }
        var value = UInt64(first)
        if isLength { value &= (1 << (8 - UInt64(count))) - 1 }
        for byte in bytes.dropFirst().prefix(count - 1) { value = value << 8 | UInt64(byte) }
        return (isLength && value == (1 << (7 * UInt64(count))) - 1 ? nil : value, count)
    }

    /// Visits the elements of a range in order; returns false once the search is over.
    @discardableResult
    private mutating func walk(_ range: Range<Int64>, depth: Int) -> Bool {
        var offset = range.lowerBound
        var isVideo = false
        var sides: [String] = []
        while offset < range.upperBound, readsLeft > 0 {
            readsLeft -= 1
            let head = reader.bytes(at: offset, count: 12)
            guard let (id, first) = Self.number(head[...], isLength: false), let id,
                let (length, second) = Self.number(head[first...], isLength: true)
            else { return false }
            let start = offset + Int64(first + second)
            // Only a segment may be written before its length is known.
            let end = length.map { start.addingReportingOverflow(Int64(clamping: $0)).partialValue } ?? range.upperBound
            guard end >= start, end <= range.upperBound || id == Self.segment else { return false }
            let inside = start..<min(end, range.upperBound)
            switch id {
            case Self.segment where depth == 0: return walk(inside, depth: 1)
            case Self.cluster: return false
            case Self.tracks where depth == 1: return walk(inside, depth: 2) && false
            case Self.entry where depth == 2:
                if !walk(inside, depth: 3) { return false }
            case Self.kind where depth == 3: isVideo = isVideo || reader.bytes(at: start, count: 1) == [1]
            case Self.settings where depth == 3:
                isVideo = true
                if video == 0 { walk(inside, depth: 4) }
            default:
                guard depth == 4, let side = Self.sides[id], inside.count <= 8 else { break }
                let value = reader.bytes(at: start, count: inside.count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                if value > 0 { sides.append("\(side) \(value)") }
            }
            offset = end
        }
        if depth == 4, !sides.isEmpty { found = sides.joined(separator: ", ") }
        if depth == 3, isVideo {
            video -= 1
            return video >= 0
        }
        return true
    }
}
