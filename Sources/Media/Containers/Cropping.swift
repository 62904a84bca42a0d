import CFFmpeg

/// Cropping that the container requests, which libavformat 5.1 does not report.
///
/// The decoder applies the cropping that H.264, HEVC and other codecs code themselves. Sources: ISO/IEC 14496-12,
/// 12.1.4; Matroska element specification, PixelCropTop.
enum Cropping {
    /// A note that frames are larger than the file intends; nil if the container requests no cropping.
    static func note(
        _ stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer, reader: FileReader
    ) -> String? {
        let asked: String? =
            if demuxer.formatName.hasPrefix("mov") {
                aperture(track: stream.pointee.id, reader)
            } else if demuxer.formatName.hasPrefix("matroska") {
                MatroskaCrop.find(reader, video: order(of: stream, demuxer))
            } else {
                nil
            }
        return asked.map { "the file requests cropping (\($0)), which is not applied" }
    }

    /// The number of video tracks before this one.
    private static func order(of stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer) -> Int {
        (0..<max(0, Int(stream.pointee.index))).count { index in
            demuxer.stream(index).map { VideoChoice.kind($0) == .video } ?? false
        }
    }

    /// The clean aperture of an MP4 track if it is smaller than the frame, as text.
    private static func aperture(track: Int32, _ reader: FileReader) -> String? {
        var boxes = BoxReader(descriptor: reader.descriptor)
        guard let movie = boxes.first("moov", in: 0..<reader.fileSize), let track = boxes.track(track, in: movie),
            let samples = boxes.first("mdia", "minf", "stbl", "stsd", in: track)
        else { return nil }
        return boxes.aperture(samples)
    }
}

extension BoxReader {
    /// Bytes of a video sample description before its child boxes.
    private static let sampleDescription: Int64 = 86

    fileprivate mutating func aperture(_ samples: Range<Int64>) -> String? {
        var offset = samples.lowerBound + 8
        for _ in 0..<100 where offset + Self.sampleDescription <= samples.upperBound {
            guard let entry = read(36, at: offset), entry.count == 36 else { return nil }
            let length = Self.integer(entry[0..<4])
            guard length >= Self.sampleDescription, length <= samples.upperBound - offset else { return nil }
            let (width, height) = (Self.integer(entry[32..<34]), Self.integer(entry[34..<36]))
            let inside = offset + Self.sampleDescription..<offset + length
            if let clap = first("clap", in: inside), let bytes = read(32, at: clap.lowerBound), bytes.count == 32 {
                let values = stride(from: 0, to: 32, by: 4).map { Self.integer(bytes[$0..<$0 + 4]) }
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
