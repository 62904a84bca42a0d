import CFFmpeg

/// The streams of a recording that go into a clip, and the clip's container.
struct ClipStreams {
    /// Indices in the recording, the video first.
    let kept: [Int]
    let container: ClipResult.Container
    /// What is left out, for the user.
    let notes: [String]

    /// Chooses the first container of the recording's family that holds all streams; else the one that holds most.
    ///
    /// - Parameter excluded: containers that were tried in vain.
    init(_ demuxer: borrowing Demuxer, video: Int, excluded: [ClipResult.Container]) throws {
        let candidates = Self.candidates(demuxer, video: video)
        let codecs = candidates.map { demuxer.stream($0)?.pointee.codecpar?.pointee.codec_id ?? AV_CODEC_ID_NONE }
        var best: (container: ClipResult.Container, kept: [Int])?
        for container in Self.containers(demuxer.formatName) where !excluded.contains(container) {
            let kept = zip(candidates, codecs).filter {
                Muxer.holds($1, in: container) && !Self.isUnknown(demuxer.stream($0))
            }.map(\.0)
            guard kept.first == video, kept.count > best?.kept.count ?? 0 else { continue }
            best = (container, kept)
        }
        guard let best else {
            let codec = String(cString: avcodec_get_name(codecs[0]))
            throw MediaError.noClip(
                excluded.isEmpty
                    ? "no container that clips are written in holds \(codec)"
                    : "no container takes its packets of \(codec): times or parameters are missing")
        }
        (container, kept) = best
        var notes: [String] = []
        for (index, codec) in zip(candidates, codecs) where !best.kept.contains(index) {
            let why =
                Self.isUnknown(demuxer.stream(index))
                ? "its parameters are unknown" : "\(best.container.suffix) cannot hold it"
            notes.append("stream \(index) (\(String(cString: avcodec_get_name(codec)))) is left out: \(why)")
        }
        self.notes = notes
    }

    /// Containers to try, by the demuxer's name.
    private static func containers(_ format: String) -> [ClipResult.Container] {
        if format.hasPrefix("mov") { return [.mp4, .mov, .matroska] }
        if format.hasPrefix("matroska") { return [.webm, .matroska] }
        if format == "avi" { return [.avi, .matroska] }
        return [.matroska, .mp4]
    }

    /// The video, then the audio and subtitles of its program.
    private static func candidates(_ demuxer: borrowing Demuxer, video: Int) -> [Int] {
        var program: [Int]?
        for index in 0..<Int(demuxer.context.pointee.nb_programs) {
            guard let one = demuxer.context.pointee.programs?[index]?.pointee, let list = one.stream_index else {
                continue
            }
            let streams = (0..<Int(one.nb_stream_indexes)).map { Int(list[$0]) }
            if streams.contains(video) { program = streams }
        }
        let others = (0..<demuxer.streamCount).filter { index in
            guard index != video, program?.contains(index) ?? true,
                let parameters = demuxer.stream(index)?.pointee.codecpar
            else { return false }
            return [AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_SUBTITLE].contains(parameters.pointee.codec_type)
        }
        return [video] + others.prefix(32)
    }

    /// True for audio without parameters: it was announced and did not come, or no decoder is allowed to look at it.
    private static func isUnknown(_ stream: UnsafeMutablePointer<AVStream>?) -> Bool {
        guard let parameters = stream?.pointee.codecpar?.pointee else { return true }
        return parameters.codec_type == AVMEDIA_TYPE_AUDIO && parameters.sample_rate <= 0
    }
}
