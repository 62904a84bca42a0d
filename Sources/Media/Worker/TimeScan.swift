import CFFmpeg

/// Reads the timestamps of all packets of a recording without decoding, and maps them to one timeline.
final class TimeScan {
    /// Number of packets used to measure the interval between two frames.
    private static let sample = 1024
    /// Number of packets at each end of a run whose lead over another stream is used.
    private static let leadSample = 8
    /// Bytes before and after a jump that are searched for MPEG-TS's program clock.
    private static let window: Int64 = 512 << 10

    private let reader: FileReader
    private let streamIndex: Int
    private let timing: StreamTiming
    private let counter: TimestampCounter
    private let isTransportStream: Bool
    private var runs: [TimeRun] = []
    private var last: (raw: Int64, time: Int64)?
    private var longestStep: Int64 = 1
    private var period: Int64 = 1
    /// Streams whose times are compared, and their latest timestamp, in units of the video's time base.
    private var witnesses: [(stream: Int, raw: Int64?, time: Int64, seenInRun: Bool)] = []
    private var leadsAtEnd: [[Int64]] = []
    private var leadsAtStart: [[Int64]] = []
    private var clockPID = 0x1FFF
    /// End of the video as the container states it, as a timestamp of the stream; nil if not stated.
    private let statedEnd: Int64?

    private struct Entry {
        let stream: Int
        let time: Int64
        let decoding: Int64
        let position: Int64
        let isKey: Bool
    }

    init(
        _ reader: FileReader, streamIndex: Int, timing: StreamTiming, statedEnd: Int64?, isTransportStream: Bool
    ) {
        self.reader = reader
        self.streamIndex = streamIndex
        self.timing = timing
        counter = timing.counter
        self.statedEnd = statedEnd
        self.isTransportStream = isTransportStream
    }

    /// Builds the map of a whole file.
    ///
    /// - Parameter progress: called while the file is read.
    ///
    /// - Returns: nil if the times jump too often to be mapped.
    func map(_ demuxer: borrowing Demuxer, progress: () throws -> Void) throws -> TimeMap? {
        choose(demuxer)
        let packet = try Packet()
        var waiting: [Entry] = []
        var started = false
        var errors = 0
        while errors < 1000 {
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == AVERROR_EOF || reader.failure != 0 { break }
            try progress()
            guard status >= 0 else {
                errors += 1
                continue
            }
            defer { av_packet_unref(packet.pointer) }
            guard let entry = entry(packet, demuxer) else { continue }
            if started {
                add(entry)
            } else {
                waiting.append(entry)
                if waiting.count == 4 * Self.sample {
                    measure(&waiting)
                    started = true
                }
            }
            if runs.count > TimeMap.maximumRuns { return nil }
        }
        if !started { measure(&waiting) }
        endRun()
        guard !runs.isEmpty else { return nil }
        let limits = TimeMap.Limits(
            second: 1 / timing.unit, maxGap: timing.maxGap, period: period, longestStep: longestStep)
        return TimeMap(runs, counter: counter, limits: limits) { evidence($0, $1, $2) }
    }

    /// Reads the video and up to three streams that share its clock, where the file interleaves streams by time.
    private func choose(_ demuxer: borrowing Demuxer) {
        let others = (0..<demuxer.streamCount).filter { index in
            guard index != streamIndex, counter.wrapPeriod != nil else { return false }
            return demuxer.stream(index)?.pointee.codecpar?.pointee.codec_type == AVMEDIA_TYPE_AUDIO
        }
        var shared = others
        for index in 0..<Int(demuxer.context.pointee.nb_programs) {
            guard let program = demuxer.context.pointee.programs?[index]?.pointee, let list = program.stream_index
            else {
                continue
            }
            let streams = (0..<Int(program.nb_stream_indexes)).map { Int(list[$0]) }
            guard streams.contains(streamIndex) else { continue }
            clockPID = Int(program.pcr_pid)
            shared = others.filter { streams.contains($0) }
        }
        if clockPID <= 0 || clockPID >= 0x1FFF { clockPID = Int(demuxer.stream(streamIndex)?.pointee.id ?? 0x1FFF) }
        witnesses = shared.prefix(3).map { ($0, nil, 0, false) }
        for index in 0..<demuxer.streamCount {
            let isRead = index == streamIndex || witnesses.contains { $0.stream == index }
            demuxer.stream(index)?.pointee.discard = isRead ? AVDISCARD_DEFAULT : AVDISCARD_ALL
        }
    }

    private func entry(_ packet: borrowing Packet, _ demuxer: borrowing Demuxer) -> Entry? {
        let raw = packet.pointer.pointee
        let stream = Int(raw.stream_index)
        let time = raw.pts != AV_NOPTS_VALUE ? raw.pts : raw.dts
        guard time != AV_NOPTS_VALUE else { return nil }
        let codec = demuxer.stream(stream)?.pointee.codecpar?.pointee.codec_id
        guard codec.map({ !packet.isHeader(of: $0) }) ?? true else { return nil }
        guard stream == streamIndex || witnesses.contains(where: { $0.stream == stream }) else { return nil }
        return Entry(
            stream: stream, time: time, decoding: raw.dts != AV_NOPTS_VALUE ? raw.dts : time, position: raw.pos,
            isKey: raw.flags & AV_PKT_FLAG_KEY != 0)
    }

    private func measure(_ waiting: inout [Entry]) {
        let decoding = waiting.filter { $0.stream == streamIndex }.prefix(Self.sample).map(\.decoding)
        // Also over several packets, since every second timestamp may be wrong.
        let periods = (1...4).compactMap { lag -> Int64? in
            let steps = zip(decoding, decoding.dropFirst(lag)).map { abs(counter.step(from: $0, to: $1)) / Int64(lag) }
                .filter { $0 > 0 }.sorted()
            return steps.isEmpty ? nil : steps[steps.count / 2]
        }
        let longest = Int64(saturating: timing.maxGap / timing.unit)
        period = max(1, min(periods.min() ?? 1, longest))
        longestStep = max(1, min(longest, max(Int64(saturating: 1 / timing.unit), 8 * period)))
        for entry in waiting { add(entry) }
        waiting = []
    }

    private func add(_ entry: Entry) {
        if let index = witnesses.firstIndex(where: { $0.stream == entry.stream }) {
            let time = counter.reduced(entry.time)
            if let raw = witnesses[index].raw {
                witnesses[index].time &+= counter.step(from: raw, to: time)
            } else {
                witnesses[index].time = time
            }
            witnesses[index].raw = time
            witnesses[index].seenInRun = true
            return
        }
        var time = counter.reduced(entry.time)
        if let last {
            let step = counter.step(from: last.raw, to: entry.time)
            time = min(max(last.time &+ step, -(1 << 60)), 1 << 60)
            // A key frame at the lowest time of all is a recording that starts again, however short it was.
            let again = entry.isKey && step < 0 && runs.first.map { time <= $0.lowest &+ period } ?? false
            if abs(step) > longestStep || again {
                endRun()
                begin(time, entry)
            } else {
                extend(time, entry)
            }
        } else {
            begin(time, entry)
        }
        last = (entry.time, time)
        for index in witnesses.indices where witnesses[index].raw != nil {
            let lead = time &- witnesses[index].time
            leadsAtEnd[index].append(lead)
            if leadsAtEnd[index].count > Self.leadSample { leadsAtEnd[index].removeFirst() }
            if witnesses[index].seenInRun, leadsAtStart[index].count < Self.leadSample {
                leadsAtStart[index].append(lead)
            }
        }
    }

    private func begin(_ time: Int64, _ entry: Entry) {
        var run = TimeRun(time)
        run.position = entry.position
        run.lastPosition = entry.position
        run.startsWithKey = entry.isKey
        runs.append(run)
        leadsAtStart = witnesses.map { _ in [] }
        leadsAtEnd = witnesses.map { _ in [] }
        for index in witnesses.indices { witnesses[index].seenInRun = false }
    }

    private func extend(_ time: Int64, _ entry: Entry) {
        let index = runs.count - 1
        runs[index].lowest = min(runs[index].lowest, time)
        runs[index].highest = max(runs[index].highest, time)
        if runs[index].count < 8 { runs[index].start = min(runs[index].start, time) }
        runs[index].count += 1
        if entry.position >= 0 { runs[index].lastPosition = entry.position }
    }

    private func endRun() {
        guard !runs.isEmpty else { return }
        runs[runs.count - 1].leads = zip(leadsAtStart, leadsAtEnd).map { start, end in
            TimeRun.Lead(
                atStart: start.isEmpty ? nil : start.sorted()[start.count / 2],
                atEnd: end.isEmpty ? nil : end.sorted()[end.count / 2])
        }
    }

    // MARK: Evidence

    private func evidence(_ before: TimeRun, _ after: TimeRun, _ jump: Int64) -> TimeMap.Evidence {
        // A stated length would include a pause, but not a wrong timestamp.
        if let statedEnd, after.start > statedEnd, Double(after.start - statedEnd) * timing.unit > TimeMap.tolerance,
            before.highest <= statedEnd
        {
            return .jump
        }
        guard counter.wrapPeriod != nil else { return .unknown }
        // If a stream interleaved with the video did not jump along, nothing paused.
        let changes = zip(before.leads, after.leads).compactMap { lead -> Int64? in
            guard let end = lead.0.atEnd, let start = lead.1.atStart else { return nil }
            return start - end
        }
        if changes.contains(where: { $0 > jump / 2 }) { return .jump }
        guard isTransportStream, before.lastPosition >= 0, after.position >= before.lastPosition else {
            return changes.isEmpty ? .unknown : .pause
        }
        let earlier = TransportPackets(
            reader, from: max(0, before.lastPosition - Self.window), to: before.lastPosition + 192)
        let later = TransportPackets(reader, from: after.position, to: after.position + Self.window)
        if changes.isEmpty, let first = earlier.clockReferences(pid: clockPID).last,
            let second = later.clockReferences(pid: clockPID).first,
            counter.step(from: first, to: second) < jump / 2
        {
            return .jump
        }
        let joint = TransportPackets(reader, from: max(0, before.lastPosition), to: after.position + 192)
        // Two recordings one after the other; if only a short time apart, they are parts of one.
        if Double(jump) * timing.unit > TimestampCounter.longestOverWrap, joint.multiplexerRestarts(pid: clockPID) {
            return .jump
        }
        return changes.isEmpty ? .unknown : .pause
    }
}
