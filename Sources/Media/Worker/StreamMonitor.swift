import CFFmpeg

/// Detects, while a stream is decoded, that another video stream of the file continues without it.
struct StreamMonitor {
    private let chosen: Int
    private var isOn = true
    private var known: Int
    /// Since the chosen stream's last frame: the last time of each other stream, and how long it has continued; in
    /// seconds.
    private var others: [Int: (last: Double, alone: Double)] = [:]

    init(_ demuxer: borrowing Demuxer, chosen: Int) {
        self.chosen = chosen
        known = demuxer.streamCount
        for index in 0..<known where index != chosen {
            guard let stream = demuxer.stream(index), VideoChoice.kind(stream) == .video,
                !Self.isCovered(index, by: chosen, demuxer)
            else { continue }
            stream.pointee.discard = AVDISCARD_DEFAULT
        }
    }

    /// True if an MP4's index says that a stream lies within the chosen one's time range, so that it need not be read.
    private static func isCovered(_ index: Int, by chosen: Int, _ demuxer: borrowing Demuxer) -> Bool {
        func span(_ index: Int) -> (Double, Double)? {
            guard let stream = demuxer.stream(index), stream.pointee.nb_frames > 0, stream.pointee.duration > 0,
                stream.pointee.start_time != AV_NOPTS_VALUE, let unit = TimeBase(stream)?.unit
            else { return nil }
            let start = Double(stream.pointee.start_time) * unit
            return (start, start + Double(stream.pointee.duration) * unit)
        }
        guard demuxer.formatName.hasPrefix("mov"), let own = span(chosen), let other = span(index) else { return false }
        return other.0 > own.0 - 1 && other.1 < own.1 + 1
    }

    /// - Returns: true once another video stream has continued alone for so long that the file must be scanned.
    mutating func observe(_ packet: borrowing Packet, _ demuxer: borrowing Demuxer) -> Bool {
        guard isOn else { return false }
        let index = Int(packet.pointer.pointee.stream_index)
        guard index != chosen else {
            if !others.isEmpty { others.removeAll(keepingCapacity: true) }
            return false
        }
        while known < demuxer.streamCount {
            if let stream = demuxer.stream(known), VideoChoice.kind(stream) != .video {
                stream.pointee.discard = AVDISCARD_ALL
            }
            known += 1
        }
        guard let stream = demuxer.stream(index), VideoChoice.kind(stream) == .video, packet.pointer.pointee.size > 0,
            let seconds = StreamScan.seconds(packet, demuxer)
        else { return false }
        var other = others[index] ?? (seconds, 0)
        let step = seconds - other.last
        if step > 0, step <= 60 { other.alone += step }
        // B-frames step back and forth.
        if step > 0 || step < -10 { other.last = seconds }
        others[index] = other
        return other.alone >= StreamScan.alone
    }

    mutating func end(_ demuxer: borrowing Demuxer) {
        isOn = false
        for index in 0..<demuxer.streamCount where index != chosen {
            demuxer.stream(index)?.pointee.discard = AVDISCARD_ALL
        }
    }
}
