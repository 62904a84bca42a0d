import CFFmpeg

/// The duration that a container states for its video; often wrong.
struct StatedDuration {
    /// In seconds; -1 if the container states none.
    private(set) var seconds = -1.0
    /// True if it is the video's own, not that of the longest stream or an estimate.
    private(set) var isOfVideo = true
    /// True if it was estimated from the last timestamps in the file or from its bit rate.
    private(set) var isEstimated = false
    /// Duration of the whole container, in seconds; negative if unknown.
    private let whole: Double

    /// Longer durations are ignored: 31 days, in seconds.
    private static let longest = 31.0 * 86_400

    init(_ stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer, _ timeBase: TimeBase) {
        let container = demuxer.context.pointee
        whole = Double(container.duration) / Double(AV_TIME_BASE)
        // libavformat copies the file's start and length to a stream that starts after the range it probes.
        let isCopied =
            !demuxer.formatName.hasPrefix("mov") && container.nb_streams > 1
            && abs(timeBase.seconds(stream.pointee.duration) - whole) < 0.001
        if let tagged = Self.tag(stream) {
            seconds = tagged
        } else if stream.pointee.duration > 0, !isCopied {
            seconds = timeBase.seconds(stream.pointee.duration)
        } else if container.duration > 0 {
            seconds = whole
            // The duration of the longest stream, which may not be the video.
            isOfVideo = container.nb_streams == 1
        }
        if container.duration_estimation_method != AVFMT_DURATION_FROM_STREAM {
            isOfVideo = false
            isEstimated = true
        }
    }

    /// The duration tag that Matroska muxers write for each stream (00:00:10.040000000), in seconds.
    private static func tag(_ stream: UnsafeMutablePointer<AVStream>) -> Double? {
        guard let entry = av_dict_get(stream.pointee.metadata, "DURATION", nil, 0), let value = entry.pointee.value
        else { return nil }
        let parts = String(cString: value).split(separator: ":").map { Double($0) }
        guard parts.count == 3, let hours = parts[0], let minutes = parts[1], let seconds = parts[2] else { return nil }
        let whole = hours * 3600 + minutes * 60 + seconds
        return whole.isFinite && whole > 0 ? whole : nil
    }

    /// Stores the duration; treats 0, negative values and values above 31 days as unknown.
    func describe(in result: inout DecodeResult) {
        if isEstimated { result.info.durationIsGuessed = true }
        let stated = max(seconds, whole)
        if stated > Self.longest {
            result.note(
                "duration_unreliable",
                "the container states a duration of \(Int(saturating: min(stated, 1e15))) s, which is ignored: the "
                    + "limit is 31 days")
        }
        if seconds > 0, seconds <= Self.longest { result.info.duration = seconds }
    }
}
