import CFFmpeg

/// The intervals in which each video stream of a file has frames, found by reading the file without decoding.
///
/// Order is defined by `key`: the file position in formats whose times may restart (MPEG, Ogg, FLV), else the
/// presentation time in microseconds, because libavformat gives 0 as the first decoding time of a Matroska track that
/// starts late.
struct StreamScan {
    /// Frames of one stream between which no other stream continued alone.
    struct Run {
        let stream: Int
        var first: Int64
        var last: Int64
        /// Key at which decoding starts: that of the key frame before a first frame that is not one.
        var from: Int64
        /// Length in seconds of the stream's own time, without the last frame's duration.
        var length = 0.0
        /// Duration of the last frame, in seconds.
        var shown = 0.0
        /// Time of the latest frame, in seconds.
        var end = -Double.infinity
        /// Median interval between two frames of the stream, in seconds.
        var step = 0.0
    }

    private(set) var runs: [[Run]] = []
    private(set) var isCutOff = false
    private(set) var isOrderedByPosition = false
    /// Streams that have a decoder.
    private(set) var decodable: Set<Int> = []

    /// Seconds that another stream must continue alone to count.
    static let alone = 2.0
    static let maxRuns = 10_000

    static func key(_ packet: borrowing Packet, _ demuxer: borrowing Demuxer) -> Int64? {
        let raw = packet.pointer.pointee
        if demuxer.isOrderedByPosition { return raw.pos >= 0 ? raw.pos : nil }
        return seconds(packet, demuxer).map { Int64(saturating: $0 * 1e6) }
    }

    static func seconds(_ packet: borrowing Packet, _ demuxer: borrowing Demuxer) -> Double? {
        let raw = packet.pointer.pointee
        let time = raw.pts != AV_NOPTS_VALUE ? raw.pts : raw.dts
        guard time != AV_NOPTS_VALUE, let stream = demuxer.stream(Int(raw.stream_index)) else { return nil }
        return TimeBase(stream)?.seconds(time)
    }

    private static func duration(_ packet: borrowing Packet, _ demuxer: borrowing Demuxer) -> Double {
        guard demuxer.formatName != "avi" else { return .infinity }
        guard let stream = demuxer.stream(Int(packet.pointer.pointee.stream_index)) else { return 0 }
        return TimeBase(stream)?.seconds(packet.pointer.pointee.duration) ?? 0
    }

    init(_ reader: FileReader, maxPixels: Int, progress: () throws -> Void) throws {
        let demuxer = try Demuxer(reader, maxPixels: maxPixels)
        isOrderedByPosition = demuxer.isOrderedByPosition
        let packet = try Packet()
        var streams: [Track] = []
        while !isCutOff {
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == AVERROR(EAGAIN) { continue }
            guard status >= 0 else { break }
            defer { av_packet_unref(packet.pointer) }
            while streams.count < demuxer.streamCount {
                let isVideo = demuxer.stream(streams.count).map { VideoChoice.kind($0) == .video } ?? false
                if !isVideo { demuxer.stream(streams.count)?.pointee.discard = AVDISCARD_ALL }
                streams.append(Track(isVideo: isVideo))
            }
            try progress()
            let index = Int(packet.pointer.pointee.stream_index)
            guard streams.indices.contains(index), streams[index].isVideo, packet.pointer.pointee.size > 0,
                let seconds = Self.seconds(packet, demuxer)
            else { continue }
            let key = Self.key(packet, demuxer) ?? streams[index].runs.last?.last ?? 0
            // If times do not restart, a frame is shown until its duration ends; AVI fills gaps with empty packets.
            let shown = demuxer.isOrderedByPosition ? 0 : Self.duration(packet, demuxer)
            let isKey = packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_KEY) != 0 || demuxer.isOrderedByPosition
            streams[index].add(key: key, seconds: seconds, shown: shown, isKey: isKey, index: index)
            for other in streams.indices where other != index && streams[other].isVideo {
                streams[other].observe(index, key: key, duration: streams[index].duration)
            }
            isCutOff = streams[index].runs.count > Self.maxRuns
        }
        runs = streams.map(\.merged)
        decodable = Set(
            runs.indices.filter { index in
                demuxer.stream(index)?.pointee.codecpar.map { VideoDecoder.knows($0.pointee.codec_id) } ?? false
            })
    }
}

extension StreamScan {
    private struct Track {
        let isVideo: Bool
        private(set) var runs: [Run] = []
        /// Accumulated duration of the stream in seconds, by its own times from frame to frame.
        private(set) var duration = 0.0
        private var keyFrame: Int64?
        /// Time of the latest frame.
        private var last: Double?
        /// Time until which frames are shown.
        private var shownUntil = -Double.infinity
        /// Since the last frame: other streams' `duration` when they were first seen.
        private var others: [Int: Double] = [:]
        private var alone = 0.0
        /// Key at which the others had continued alone long enough to count.
        private var aloneSince: Int64?
        /// Seconds the others continued alone before each run.
        private var absences: [Double] = []
        /// Histogram of the intervals between frames, in powers of two of a millisecond.
        private var steps = [Int](repeating: 0, count: 32)

        init(isVideo: Bool) { self.isVideo = isVideo }

        mutating func add(key: Int64, seconds: Double, shown: Double, isKey: Bool, index: Int) {
            if isKey { keyFrame = key }
            let step = last.map { seconds - $0 } ?? 0
            // The length of a jump is unknown, and B-frames step back and forth.
            let counted = step > 0 && step <= 60 ? step : 0
            if counted > 0 { steps[min(31, Int(saturating: counted * 1000).bitWidthUsed)] += 1 }
            // Demuxers output the last frame of a piece only when the next piece starts or the file ends.
            let isDelayed = aloneSince.map { key < $0 } ?? false
            let isAway = alone >= StreamScan.alone && (shown == 0 || seconds - shownUntil >= StreamScan.alone)
            if runs.isEmpty || (isAway && !isDelayed) {
                runs.append(Run(stream: index, first: key, last: key, from: keyFrame ?? key))
                absences.append(alone)
            } else {
                duration += counted
                runs[runs.count - 1].first = min(runs[runs.count - 1].first, key)
                runs[runs.count - 1].last = max(runs[runs.count - 1].last, key)
                runs[runs.count - 1].length += counted
            }
            if step >= 0 || step < -10 { last = seconds }
            shownUntil = max(shownUntil, seconds + shown)
            if shown.isFinite { runs[runs.count - 1].shown = shown }
            if let last { runs[runs.count - 1].end = last }
            guard !isDelayed else { return }
            (alone, aloneSince) = (0, nil)
            others.removeAll(keepingCapacity: true)
        }

        mutating func observe(_ other: Int, key: Int64, duration: Double) {
            alone = max(alone, duration - others[other, default: duration])
            if others[other] == nil { others[other] = duration }
            if alone >= StreamScan.alone, aloneSince == nil { aloneSince = key }
        }

        /// The runs, with those of a low-frame-rate stream joined, since the stream is not absent between two frames.
        var merged: [Run] {
            let half = steps.reduce(0, +) / 2
            var (seen, median) = (0, 0.0)
            for (power, count) in steps.enumerated() {
                seen += count
                if seen > half {
                    median = Double(1 << power) / 1000
                    break
                }
            }
            var out: [Run] = []
            for (var run, absence) in zip(runs, absences) {
                (run.shown, run.step) = (max(run.shown, median), median)
                if out.isEmpty || absence > 5 * median {
                    out.append(run)
                } else {
                    out[out.count - 1].last = max(out[out.count - 1].last, run.last)
                    out[out.count - 1].length += run.length + absence
                    out[out.count - 1].shown = run.shown
                    out[out.count - 1].end = run.end
                }
            }
            return out
        }
    }
}

extension Int {
    fileprivate var bitWidthUsed: Int { self > 0 ? Int.bitWidth - leadingZeroBitCount : 0 }
}
