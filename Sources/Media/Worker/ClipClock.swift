import CFFmpeg

/// Converts the timestamps of a recording's streams to seconds from its first frame.
struct ClipClock {
    private let timeBase: TimeBase
    /// Timestamp of the recording's first frame, in the video's time base.
    private let origin: Int64
    /// The wraparound period of MPEG's 33-bit counter; nil for other streams.
    private let wrapPeriod: Int64?

    /// - Parameter origin: the timestamp of the first frame; nil: by the anchor.
    init(
        _ stream: UnsafeMutablePointer<AVStream>, _ demuxer: borrowing Demuxer, anchor: ClipRequest.Anchor,
        origin: Int64?
    ) {
        timeBase = TimeBase(stream) ?? .mpeg
        self.origin = origin ?? anchor.pts.subtractingReportingOverflow(timeBase.units(anchor.seconds)).partialValue
        wrapPeriod = demuxer.allowsDiscontinuities && stream.pointee.pts_wrap_bits == 33 ? 1 << 33 : nil
    }

    /// The timestamp at a time, as the file counts before any wraparound.
    func timestamp(_ seconds: Double) -> Int64 {
        origin.addingReportingOverflow(timeBase.units(seconds)).partialValue
    }

    /// Units of the video's time base in some seconds.
    func units(_ seconds: Double) -> Int64 { timeBase.units(seconds) }

    func seconds(_ units: Int64) -> Double { timeBase.seconds(units) }

    /// Units of the video's time base from the first frame.
    func position(_ timestamp: Int64) -> Int64 { Self.wrapped(timestamp &- origin, wrapPeriod) }

    /// Units of another stream's time base from the video's position `start`.
    func position(_ timestamp: Int64, in other: TimeBase, since start: Int64) -> Int64 {
        // Not through seconds: they would round timestamps.
        let zero = av_rescale(
            origin &+ start, Int64(timeBase.numerator) * Int64(other.denominator),
            Int64(timeBase.denominator) * Int64(other.numerator))
        return Self.wrapped(timestamp &- zero, other == timeBase ? wrapPeriod : nil)
    }

    /// The time that presents or, where the file does not say that, decodes a packet.
    func time(of packet: borrowing Packet) -> Int64? {
        Self.stamp(packet.pointer.pointee).map(position)
    }

    /// The presentation timestamp or, where there is none, the decoding timestamp.
    static func stamp(_ packet: AVPacket) -> Int64? {
        let stamp = packet.pts == AV_NOPTS_VALUE ? packet.dts : packet.pts
        return stamp == AV_NOPTS_VALUE ? nil : stamp
    }

    /// Reduces a distance to one period, of which the last eighth stands for times before the origin.
    private static func wrapped(_ distance: Int64, _ period: Int64?) -> Int64 {
        guard let period else { return distance }
        let rest = ((distance % period) + period) % period
        return rest > period / 8 * 7 ? rest - period : rest
    }
}
