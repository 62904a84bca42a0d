/// Another recording after the first one in a file, as `cat a.mp4 b.mp4` makes it; demuxers stop before it silently.
struct TrailingRecording {
    /// The container's name.
    let container: String
    let offset: Int64

    /// Bytes searched after the last packet.
    private static let searchedBytes = 64 << 20

    /// Finds a recording after the first one; nil if there is none.
    ///
    /// - Parameters:
    ///   - format: libavformat's name of the first recording's container.
    ///   - lastPacket: position of the last packet that was decoded.
    static func find(in reader: FileReader, format: String, lastPacket: Int64) -> TrailingRecording? {
        if format.hasPrefix("mov") { return afterMovie(reader) }
        return search(reader, from: max(0, lastPacket), format: format)
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
            if movies == 2 { return TrailingRecording(container: "MP4", offset: start > 0 ? start : offset) }
            let isBox = box.length >= 8 && box.type.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 0xA9 }
            guard isBox, !offset.addingReportingOverflow(box.length).overflow else {
                // Length 0 means up to the end of the file.
                guard movies > 0, box.length != 0 else { return nil }
                return ContainerSignature.exact(reader.bytes(at: offset, count: 1024)[...], in: "").map {
                    TrailingRecording(container: $0, offset: offset)
                }
            }
            offset += box.length
        }
        return nil
    }

    private static func search(_ reader: FileReader, from start: Int64, format: String) -> TrailingRecording? {
        let (block, overlap) = (1 << 20, 1024)
        var offset = start
        while offset - start < searchedBytes {
            let bytes = reader.bytes(at: offset, count: block + overlap)
            guard !bytes.isEmpty else { return nil }
            for index in 0..<min(bytes.count, block) where ContainerSignature.mayBegin(with: bytes[index]) {
                if let container = ContainerSignature.exact(bytes[index...], in: format) {
                    return TrailingRecording(container: container, offset: offset + Int64(index))
                }
            }
            offset += Int64(block)
        }
        return nil
    }
}
