/// Another recording after the first one in a file, as `cat a.mp4 b.mp4` makes it; demuxers stop before it silently.
struct TrailingRecording {
    let kind: String
    let offset: Int64

    /// Bytes searched after the last packet.
    private static let searched = 64 << 20

    /// Finds a recording after the first one; nil if there is none.
    ///
    /// - Parameters:
    ///   - format: libavformat's name of the first recording's container.
    ///   - lastPacket: position of the last packet that was decoded.
    static func find(in reader: FileReader, format: String, lastPacket: Int64) -> TrailingRecording? {
        if format.hasPrefix("mov") { return afterMovie(reader) }
        return search(reader, from: max(0, lastPacket), own: format)
    }

    /// Walks the boxes: an MP4 file has one movie box and consists of boxes only.
    private static func afterMovie(_ reader: FileReader) -> TrailingRecording? {
        var boxes = BoxReader(descriptor: reader.descriptor, readLimit: 200_000)
        var offset: Int64 = 0
        var movies = 0
        var start: Int64 = 0
        while offset + 16 <= reader.fileSize, let box = boxes.box(at: offset) {
            if box.is("ftyp") { start = offset }
            if box.is("moov") { movies += 1 }
            if movies == 2 { return TrailingRecording(kind: "MP4", offset: start > 0 ? start : offset) }
            let isBox = box.length >= 8 && box.type.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 0xA9 }
            guard isBox, !offset.addingReportingOverflow(box.length).overflow else {
                // Length 0 means up to the end of the file.
                guard movies > 0, box.length != 0 else { return nil }
                return kind(reader.bytes(at: offset, count: 1024)[...], own: "").map {
                    TrailingRecording(kind: $0, offset: offset)
                }
            }
            offset += box.length
        }
        return nil
    }

    private static func search(_ reader: FileReader, from start: Int64, own: String) -> TrailingRecording? {
        let (block, overlap) = (1 << 20, 1024)
        var offset = start
        while offset - start < searched {
            let bytes = reader.bytes(at: offset, count: block + overlap)
            guard !bytes.isEmpty else { return nil }
            for index in 0..<min(bytes.count, block) {
                switch bytes[index] {
                case 0x1A, 0x46, 0x47, 0x52, 0x00, 0x4F:
                    if let kind = kind(bytes[index...], own: own) {
                        return TrailingRecording(kind: kind, offset: offset + Int64(index))
                    }
                default: continue
                }
            }
            offset += Int64(block)
        }
        return nil
    }

    /// The container that `bytes` starts with, except for those that demuxers continue into by themselves.
    private static func kind(_ bytes: ArraySlice<UInt8>, own: String) -> String? {
        let start = bytes.startIndex
        func holds(_ text: String, at offset: Int) -> Bool {
            bytes.count >= offset + text.utf8.count && bytes[(start + offset)...].starts(with: text.utf8)
        }
        guard bytes.count >= 32 else { return nil }
        if holds("FLV\u{1}", at: 0), bytes[(start + 5)..<(start + 9)].elementsEqual([0, 0, 0, 9]) { return "FLV" }
        if holds("RIFF", at: 0), holds("AVI LIST", at: 8), own != "avi" { return "AVI" }
        if holds("ftyp", at: 4), bytes[start] == 0, bytes[start + 1] == 0, bytes[start + 2] == 0 {
            let next = Int(bytes[start + 3])
            let kinds = ["moov", "mdat", "free", "wide", "skip", "uuid", "moof", "pdin", "styp"]
            if kinds.contains(where: { holds($0, at: next + 4) }) { return "MP4" }
        }
        if bytes.starts(with: [0x1A, 0x45, 0xDF, 0xA3]), !own.hasPrefix("matroska"),
            (4..<48).contains(where: { holds("matroska", at: $0) || holds("webm", at: $0) })
        {
            return "Matroska"
        }
        if own != "mpegts", bytes.count > 188 * 5, (0...5).allSatisfy({ bytes[start + 188 * $0] == 0x47 }) {
            return "MPEG-TS"
        }
        return nil
    }
}
