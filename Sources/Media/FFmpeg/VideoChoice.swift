import CFFmpeg

/// Chooses the video stream of a file.
///
/// Streams that can be decoded and have more than one frame come first; then the one marked as default, then the
/// largest, then the first.
struct VideoChoice {
    /// Video streams that are not cover art or thumbnails, in file order.
    private(set) var video: [Int] = []
    /// Number of cover art and thumbnail streams.
    private(set) var attachedPictures = 0

    /// Maximum number of streams of any kind in a container; libavformat keeps several kilobytes for each.
    static let maxStreams = 1000
    static let maxVideoStreams = 64
    /// Bytes read to find two frames of each stream if the container does not say how many a stream has.
    private static let countedBytes: Int64 = 256 << 20

    init(_ context: UnsafeMutablePointer<AVFormatContext>) {
        for index in 0..<Int(context.pointee.nb_streams) {
            guard let stream = context.pointee.streams?[index] else { continue }
            switch Self.kind(stream) {
            case .video: video.append(index)
            case .attachedPicture: attachedPictures += 1
            case .other: break
            }
        }
    }

    enum Kind { case video, attachedPicture, other }

    static func kind(_ stream: UnsafeMutablePointer<AVStream>) -> Kind {
        guard stream.pointee.codecpar?.pointee.codec_type == AVMEDIA_TYPE_VIDEO else { return .other }
        let isAttached =
            stream.pointee.disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS) != 0
        return isAttached ? .attachedPicture : .video
    }

    /// The stream to use among `video`, which must not be empty.
    ///
    /// - Parameter count: returns the number of frames per stream, at most two each, by reading the file; called only
    ///   if the headers do not say.
    func best(
        _ context: UnsafeMutablePointer<AVFormatContext>, maxPixels: Int, count: () throws -> [Int: Int]
    ) rethrows -> Int {
        let candidates = video.map { Candidate(context, $0, maxPixels: maxPixels) }
        var counted: [Int: Int] = [:]
        if candidates.count(where: \.isDecodable) > 1,
            candidates.contains(where: { $0.isDecodable && $0.frames == nil })
        {
            counted = try count()
        }
        var best = (index: video[0], rank: [Int64]())
        for candidate in candidates {
            let rank = candidate.rank(frames: candidate.frames ?? counted[candidate.index] ?? 0)
            if best.rank.isEmpty || best.rank.lexicographicallyPrecedes(rank) { best = (candidate.index, rank) }
        }
        return best.index
    }

    /// Counts the packets of video streams until each stream in `video` has had two.
    static func count(_ video: [Int], reader: FileReader, maxPixels: Int, progress: () throws -> Void) throws -> [Int:
        Int]
    {
        let demuxer = try Demuxer(reader, maxPixels: maxPixels, probes: false)
        let packet = try Packet()
        var counts: [Int: Int] = [:]
        while reader.highWater < countedBytes, !video.allSatisfy({ counts[$0, default: 0] >= 2 }) {
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == AVERROR(EAGAIN) { continue }
            guard status >= 0 else { break }
            defer { av_packet_unref(packet.pointer) }
            // AVI files have empty packets where a frame is missing.
            guard packet.pointer.pointee.size > 0 else { continue }
            counts[Int(packet.pointer.pointee.stream_index), default: 0] += 1
            try progress()
        }
        return counts
    }
}

extension VideoChoice {
    private struct Candidate {
        let index: Int
        let isDecodable: Bool
        /// Frames according to the container, at most two; nil if it does not say.
        let frames: Int?
        private let isDefault: Bool
        private let isKnown: Bool
        private let area: Int64

        init(_ context: UnsafeMutablePointer<AVFormatContext>, _ index: Int, maxPixels: Int) {
            self.index = index
            guard let stream = context.pointee.streams?[index], let parameters = stream.pointee.codecpar else {
                (isDecodable, frames, isDefault, isKnown, area) = (false, nil, false, false, 0)
                return
            }
            let (width, height) = (Int64(parameters.pointee.width), Int64(parameters.pointee.height))
            area = max(width, 0) * max(height, 0)
            isDecodable = area > 0 && area <= Int64(maxPixels) && VideoDecoder.knows(parameters.pointee.codec_id)
            isDefault = stream.pointee.disposition & AV_DISPOSITION_DEFAULT != 0
            isKnown = parameters.pointee.format >= 0
            // MP4 and AVI index each frame, Matroska only key frames.
            let entries = Int(avformat_index_get_entries_count(stream))
            let format = context.pointee.iformat.flatMap { String(cString: $0.pointee.name) } ?? ""
            if entries > 1 {
                frames = 2
            } else {
                frames = format.hasPrefix("mov") && stream.pointee.nb_frames == 1 ? 1 : nil
            }
        }

        func rank(frames: Int) -> [Int64] {
            [isDecodable ? 1 : 0, Int64(min(frames, 2)), isKnown ? 1 : 0, isDefault ? 1 : 0, area]
        }
    }
}
