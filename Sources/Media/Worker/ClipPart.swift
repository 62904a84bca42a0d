import CFFmpeg

/// Decides which packets belong to a clip, and gives them times on its own timeline.
///
/// Positions are in units of the video's time base from the recording's first frame.
struct ClipPart {
    private let kept: [Int]
    private let start: Int64
    private let end: Int64
    private let tail: Int64
    private let interleaving: Int64
    /// The last decoding time of each stream, in its own time base.
    private var last: [Int64?]
    /// Audio streams of which packets before the clip's end may still come.
    private var waiting: Set<Int> = []
    private var isEnded = false
    /// End of the last frame so far; nil before the first.
    private(set) var covered: Int64?
    /// True once no more packets are wanted.
    private(set) var isComplete = false

    init(_ kept: [Int], start: Int64, end: Int64, tail: Int64, interleaving: Int64) {
        (self.kept, self.start, self.end, self.tail, self.interleaving) = (kept, start, end, tail, interleaving)
        last = kept.map { _ in nil }
    }

    /// The packet's stream in the clip, with its times changed; nil if it does not belong to the clip.
    mutating func take(
        _ packet: borrowing Packet, _ demuxer: borrowing Demuxer, _ clock: ClipClock, _ timing: StreamTiming
    ) -> Int? {
        guard let number = kept.firstIndex(of: Int(packet.pointer.pointee.stream_index)) else { return nil }
        let belongs =
            number == 0
            ? takesVideo(packet, clock, timing) : takesOther(packet, number, demuxer, clock)
        guard belongs else { return nil }
        let raw = packet.pointer
        // A frame that an edit list hides is in the clip, whose first frame it may be.
        raw.pointee.flags &= ~Int32(AV_PKT_FLAG_DISCARD)
        // Most containers refuse decoding times that do not increase.
        if let before = last[number], raw.pointee.dts != AV_NOPTS_VALUE, raw.pointee.dts <= before {
            raw.pointee.dts = before + 1
            if raw.pointee.pts != AV_NOPTS_VALUE { raw.pointee.pts = max(raw.pointee.pts, before + 1) }
        }
        if raw.pointee.dts != AV_NOPTS_VALUE { last[number] = raw.pointee.dts }
        return number
    }

    private mutating func takesVideo(_ packet: borrowing Packet, _ clock: ClipClock, _ timing: StreamTiming) -> Bool {
        guard let time = clock.time(of: packet) else { return false }
        let raw = packet.pointer
        let decoding = raw.pointee.dts == AV_NOPTS_VALUE ? time : clock.position(raw.pointee.dts)
        guard !isEnded else {
            if let covered, decoding > covered &+ interleaving { isComplete = true }
            return false
        }
        if let covered {
            // Frames between the two key frames may be missing where they need the second one.
            if covered >= end, packet.isKey || decoding > tail {
                isEnded = true
                isComplete = waiting.isEmpty
                return false
            }
            guard time >= start else { return false }
        } else {
            guard packet.isKey, time == start else { return false }
        }
        let duration = raw.pointee.duration > 0 ? raw.pointee.duration : timing.frameDuration
        covered = max(covered ?? time, time &+ min(duration, timing.maxDuration))
        if raw.pointee.pts != AV_NOPTS_VALUE { raw.pointee.pts = clock.position(raw.pointee.pts) &- start }
        if raw.pointee.dts != AV_NOPTS_VALUE { raw.pointee.dts = clock.position(raw.pointee.dts) &- start }
        return true
    }

    private mutating func takesOther(
        _ packet: borrowing Packet, _ number: Int, _ demuxer: borrowing Demuxer, _ clock: ClipClock
    ) -> Bool {
        let raw = packet.pointer
        guard let stream = demuxer.stream(kept[number]), let timeBase = TimeBase(stream) else { return false }
        let stamp = raw.pointee.pts == AV_NOPTS_VALUE ? raw.pointee.dts : raw.pointee.pts
        guard stamp != AV_NOPTS_VALUE else { return false }
        let isAudio = stream.pointee.codecpar?.pointee.codec_type == AVMEDIA_TYPE_AUDIO
        let time = clock.position(stamp, in: timeBase, since: start)
        if isAudio, !isEnded { waiting.insert(number) }
        let length = clock.seconds((covered ?? start) &- start)
        if isEnded, timeBase.seconds(time) >= length {
            waiting.remove(number)
            isComplete = waiting.isEmpty
            return false
        }
        // Before the first key frame is read, only what is shown soon after it can be meant.
        guard time >= 0, covered != nil || timeBase.seconds(time) < 10 else { return false }
        let decoding = raw.pointee.dts == AV_NOPTS_VALUE ? time : time &+ (raw.pointee.dts &- stamp)
        (raw.pointee.pts, raw.pointee.dts) = (time, decoding)
        return true
    }
}
