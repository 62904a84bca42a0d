import CFFmpeg

/// The times of the stream that decoding starts with; timestamps of later streams are converted to its time base.
struct StreamTiming {
    let timeBase: TimeBase
    /// Seconds per unit of the time base.
    let unit: Double
    /// Average frames per second according to the container; nil if it does not say.
    let framesPerSecond: Double?
    /// Units between two frames; the duration of a frame that does not state one.
    let frameDuration: Int64
    let counter: TimestampCounter
    /// The longest pause between two frames, in seconds; a longer one is a discontinuity.
    let maxGap: Double
    /// Start of the container's timeline in seconds, from which players count.
    let containerStart: Double
    /// Start of each audio and video stream, in seconds.
    private let starts: [(stream: Int, seconds: Double)]

    init(_ stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer, maxGap: Double) {
        timeBase = TimeBase(stream) ?? .mpeg
        unit = timeBase.unit
        let rate = stream.pointee.avg_frame_rate
        framesPerSecond = rate.num > 0 && rate.den > 0 ? Double(rate.num) / Double(rate.den) : nil
        let units = (1 / (framesPerSecond ?? 25) / unit).rounded()
        frameDuration = max(1, Int64(saturating: min(max(units, 1), 1e12)))
        let wraps = demuxer.allowsDiscontinuities && stream.pointee.pts_wrap_bits == 33
        counter = TimestampCounter(wrapPeriod: wraps ? 1 << 33 : nil, unit: unit)
        self.maxGap = maxGap
        let start = demuxer.context.pointee.start_time
        containerStart = start == AV_NOPTS_VALUE ? 0 : Double(start) / Double(AV_TIME_BASE)
        starts = (0..<demuxer.streamCount).compactMap { index in
            guard let other = demuxer.stream(index), other.pointee.start_time != AV_NOPTS_VALUE,
                [AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO].contains(other.pointee.codecpar?.pointee.codec_type),
                let timeBase = TimeBase(other)
            else { return nil }
            return (index, timeBase.seconds(other.pointee.start_time))
        }
    }

    /// Units of the longest time that one frame is shown.
    var maxDuration: Int64 { timeBase.units(min(maxGap, 1e6)) }

    func seconds(_ units: Int64) -> Double { timeBase.seconds(units) }

    /// The earliest start of the other streams, in seconds.
    func earliestStart(except stream: Int) -> Double? { starts.filter { $0.stream != stream }.map(\.seconds).min() }
}
