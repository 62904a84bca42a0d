import CFFmpeg

/// Cropping that the container requests, which libavformat 5.1 does not report.
///
/// The decoder applies the cropping that H.264, HEVC and other codecs code themselves. Sources: ISO/IEC 14496-12,
/// 12.1.4; Matroska element specification, PixelCropTop.
enum Cropping {
    /// A note that frames are larger than the file intends; nil if the container requests no cropping.
    static func note(
        _ stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer, reader: FileReader, fileSize: Int64
    ) -> String? {
        let asked: String? =
            if demuxer.formatName.hasPrefix("mov") {
                aperture(track: stream.pointee.id, fileSize: fileSize)
            } else if demuxer.formatName.hasPrefix("matroska") {
                MatroskaCrop.find(reader, video: order(of: stream, demuxer))
            } else {
                nil
            }
        return asked.map { "the file asks for its pictures to be cropped (\($0)), which is not done" }
    }

    /// The number of video tracks before this one.
    private static func order(of stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer) -> Int {
        (0..<max(0, Int(stream.pointee.index))).count { index in
            demuxer.stream(index).map { VideoChoice.kind($0) == .video } ?? false
        }
    }

    /// The clean aperture of an MP4 track if it is smaller than the frame, as text.
    private static func aperture(track: Int32, fileSize: Int64) -> String? {
        var boxes = MovieBoxes(descriptor: DecodeWorker.fileDescriptor)
        guard let movie = boxes.first("moov", in: 0..<fileSize) else { return nil }
        for candidate in boxes.all("trak", in: movie) {
            guard let own = boxes.first("tkhd", in: candidate), boxes.trackID(own) == track else { continue }
            guard let media = boxes.first("mdia", in: candidate), let info = boxes.first("minf", in: media),
                let table = boxes.first("stbl", in: info), let samples = boxes.first("stsd", in: table)
            else { return nil }
            return boxes.aperture(samples)
        }
        return nil
    }
}

extension MovieBoxes {
    /// Size of a video sample description before its child boxes, in bytes.
    private static let described: Int64 = 86

    fileprivate mutating func aperture(_ samples: Range<Int64>) -> String? {
        var offset = samples.lowerBound + 8
        for _ in 0..<100 where offset + Self.described <= samples.upperBound {
            guard let entry = read(36, at: offset), entry.count == 36 else { return nil }
            let length = Self.number(entry[0..<4])
            guard length >= Self.described, length <= samples.upperBound - offset else { return nil }
            let (width, height) = (Self.number(entry[32..<34]), Self.number(entry[34..<36]))
            let inside = offset + Self.described..<offset + length
            if let clap = first("clap", in: inside), let bytes = read(32, at: clap.lowerBound), bytes.count == 32 {
                let values = stride(from: 0, to: 32, by: 4).map { Self.number(bytes[$0..<$0 + 4]) }
                let isWhole = values[0] >= width * values[1] && values[2] >= height * values[3]
                if values[1] > 0, values[3] > 0, !isWhole {
                    return "clean aperture of \(values[0] / values[1])×\(values[2] / values[3]) in \(width)×\(height)"
                }
            }
            offset += length
        }
        return nil
    }
}

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

    private static let (segment, tracks, cluster, entry, kind, picture) = (
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
            case Self.picture where depth == 3:
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
