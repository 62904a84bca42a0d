import CFFmpeg
import Glibc

/// Copies the packets of a part of a recording into another container, from key frame to key frame.
///
/// Frames that are stored after the first key frame and shown before it are left out: they may need frames that are not
/// in the clip. So the clip's first frame is that key frame, at 0 on the clip's own timeline.
struct ClipSession: ~Copyable {
    /// How to reach the first packet.
    private enum Entry: Equatable {
        /// Seeks this many seconds before the wanted start: without an index, seeking may land after the key frame.
        case seek(lead: Double)
        /// Reads the file from its beginning.
        case beginning

        static let all: [Entry] = [0.0, 2, 12, 60].map { .seek(lead: $0) } + [.beginning]
    }

    /// An open recording and its video stream.
    private struct Source: ~Copyable {
        let demuxer: Demuxer
        let reader: FileReader
        let stream: UnsafeMutablePointer<AVStream>
        let clock: ClipClock
        let timing: StreamTiming
        var video: Int { Int(stream.pointee.index) }
    }

    /// Seconds that the key frame before the wanted start may be away.
    private static let mostLead = 600.0
    /// Seconds after the wanted end within which a key frame must come; without one, the clip ends there.
    private static let mostTail = 10.0
    /// Seconds after a seek in MPEG streams within which timestamps may be guesses.
    private static let settling = 1.0
    /// Decoders that look at streams: those of the index, and AAC's, whose rate transport streams do not state.
    private static let codecs = Demuxer.codecs + ",aac"
    /// Seconds of video that are read after the clip's end for audio that is stored later.
    private static let interleaving = 5.0

    private let request: FrameRequest
    private let clip: ClipRequest
    private let reader: FileReader
    private let file: OutputFile
    private var heartbeat: Heartbeat
    private var packets = 0
    /// Timestamp of the first packet of an AVI file, whose frames are told apart by the order of decoding.
    private var originOfAVI: Int64?

    /// Writes the clip into `descriptor`, and sends its result.
    static func run(
        _ request: FrameRequest, clip: ClipRequest, reader: FileReader, descriptor: Int32, output: WorkerOutput
    ) throws {
        var session = ClipSession(request, clip, reader, OutputFile(descriptor: descriptor), output)
        try output.send(.clip, json: try session.write())
    }

    private init(
        _ request: FrameRequest, _ clip: ClipRequest, _ reader: FileReader, _ file: OutputFile, _ output: WorkerOutput
    ) {
        (self.request, self.clip, self.reader, self.file) = (request, clip, reader, file)
        heartbeat = Heartbeat(output)
    }

    private mutating func write() throws -> ClipResult {
        for entry in Entry.all {
            guard let start = try findStart(entry) else { continue }
            var excluded: [ClipResult.Container] = []
            while true {
                let (container, result) = try copy(from: start, entry, excluded: excluded)
                if let result { return result }
                // The muxer refuses a stream's parameters or times.
                excluded.append(container)
                file.restart()
            }
        }
        throw MediaError.noClip("no key frame was found before its end")
    }

    /// Opens the recording at the entry; nil if it cannot seek there.
    private mutating func open(_ entry: Entry) throws -> Source? {
        let reader = reader.another()
        let demuxer = try Demuxer(reader, maxPixels: request.maxPixels, codecs: Self.codecs)
        var ignored = DecodeResult()
        let video = try demuxer.selectVideo(request.stream, maxPixels: request.maxPixels, notes: &ignored)
        guard let stream = demuxer.stream(video) else { throw MediaError.library("the selected stream is missing") }
        if av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) != nil {
            throw MediaError.encrypted()
        }
        demuxer.context.pointee.flags |= AVFMT_FLAG_GENPTS
        let timing = StreamTiming(stream, demuxer, maxGap: request.maxGap)
        let isAVI = demuxer.formatName == "avi"
        let clock = ClipClock(stream, demuxer, anchor: clip.anchor, origin: originOfAVI)
        let source = Source(demuxer: demuxer, reader: reader, stream: stream, clock: clock, timing: timing)
        if isAVI, originOfAVI == nil {
            let packet = try Packet()
            while originOfAVI == nil, try read(source, packet) {
                guard packet.pointer.pointee.stream_index == Int32(video), packet.pointer.pointee.size > 0 else {
                    continue
                }
                originOfAVI = ClipClock.stamp(packet.pointer.pointee)
            }
            return originOfAVI == nil ? nil : try open(entry)
        }
        if case .seek(let lead) = entry {
            let target = clock.timestamp(clip.start - lead)
            guard av_seek_frame(source.demuxer.context, Int32(video), target, AVSEEK_FLAG_BACKWARD) >= 0 else {
                return nil
            }
        }
        return source
    }

    /// Reads the next packet; returns false at the end of the file.
    private mutating func read(_ source: borrowing Source, _ packet: borrowing Packet) throws -> Bool {
        var errors = 0
        while errors < 100 {
            av_packet_unref(packet.pointer)
            let status = av_read_frame(source.demuxer.context, packet.pointer)
            packets += 1
            try heartbeat.send(highWater: source.reader.highWater, count: packets)
            if status >= 0 {
                if packet.isEncrypted { throw MediaError.encrypted() }
                return true
            }
            if source.reader.failure != 0 { throw MediaError.cannotRead(errno: source.reader.failure) }
            if status == AVERROR_EOF { return false }
            errors += 1
        }
        return false
    }

    /// The position of the last key frame at or before the wanted start.
    ///
    /// From the beginning of the file also that of the first one after it: some recordings begin without a key frame.
    private mutating func findStart(_ entry: Entry) throws -> Int64? {
        guard let source = try open(entry) else { return nil }
        let (wanted, end) = (source.clock.units(clip.start), source.clock.units(clip.end))
        let packet = try Packet()
        var (found, next, first): (Int64?, Int64?, Int64?)
        let isSettling = entry != .beginning && source.demuxer.allowsDiscontinuities
        let settling = isSettling ? source.clock.units(Self.settling) : 0
        while try read(source, packet) {
            guard packet.pointer.pointee.stream_index == Int32(source.video),
                let time = source.clock.time(of: packet)
            else { continue }
            first = first ?? time
            if packet.isKey, time >= (first ?? time) &+ settling || time == 0 {
                if time <= wanted { found = max(found ?? time, time) } else if next == nil { next = time }
            }
            let decoding = packet.pointer.pointee.dts
            let reached = decoding == AV_NOPTS_VALUE ? time : source.clock.position(decoding)
            if reached > wanted, found != nil || next != nil || entry != .beginning { break }
            if reached > end { break }
        }
        guard let start = found ?? (entry == .beginning ? next : nil) else { return nil }
        let lead = source.clock.seconds(wanted - start)
        guard lead <= Self.mostLead else {
            throw MediaError.noClip(
                "the key frame before it is \(Int(saturating: lead)) s earlier, and a clip begins at a key frame; at most "
                    + "\(Int(saturating: Self.mostLead)) s are copied for that")
        }
        return start
    }

    /// Copies the part that begins with the key frame at `start`; no result if the container refuses it.
    private mutating func copy(
        from start: Int64, _ entry: Entry, excluded: [ClipResult.Container]
    ) throws -> (ClipResult.Container, ClipResult?) {
        guard let source = try open(entry) else { throw MediaError.noClip("seeking failed") }
        let streams = try ClipStreams(source.demuxer, video: source.video, excluded: excluded)
        let muxer = try Muxer(streams.container, file)
        for index in 0..<source.demuxer.streamCount {
            source.demuxer.stream(index)?.pointee.discard =
                streams.kept.contains(index) ? AVDISCARD_DEFAULT : AVDISCARD_ALL
        }
        for index in streams.kept {
            guard let stream = source.demuxer.stream(index) else { throw MediaError.library("a stream is missing") }
            try muxer.addStream(like: stream)
        }
        let first = source.clock.seconds(start)
        let begun = muxer.begin(creation: clip.recorded.flatMap { Self.date($0 + first) })
        try checkWritten()
        guard begun >= 0 else { return (streams.container, nil) }
        var part = ClipPart(
            streams.kept, start: start, end: source.clock.units(clip.end),
            tail: source.clock.units(clip.end + Self.mostTail), interleaving: source.clock.units(Self.interleaving))
        let packet = try Packet()
        while try !part.isComplete && read(source, packet) {
            guard let number = part.take(packet, source.demuxer, source.clock, source.timing),
                let timeBase = source.demuxer.stream(streams.kept[number])?.pointee.time_base
            else { continue }
            let status = muxer.write(packet, stream: number, timeBase: timeBase)
            try checkWritten()
            guard status >= 0 else { return (streams.container, nil) }
        }
        guard let covered = part.covered else { throw MediaError.noClip("its key frame was not found again") }
        let finished = muxer.finish()
        try checkWritten()
        guard finished >= 0 else { throw MediaError.noClip(Demuxer.text(finished)) }
        let result = ClipResult(
            container: streams.container, start: first, end: source.clock.seconds(covered), bytes: file.size,
            notes: streams.notes)
        return (streams.container, result)
    }

    private func checkWritten() throws {
        if file.failure != 0 { throw MediaError.cannotWrite(errno: file.failure) }
    }

    /// RFC 3339 in UTC; nil for a year that has not four digits.
    private static func date(_ seconds: Double) -> String? {
        var time = time_t(Int64(saturating: seconds.rounded(.down)))
        var fields = tm()
        guard gmtime_r(&time, &fields) != nil, (0...8099).contains(fields.tm_year) else { return nil }
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let thousandths = "\(1000 + Int(saturating: ((seconds - seconds.rounded(.down)) * 1000).rounded(.down)))"
        return "\(fields.tm_year + 1900)-\(two(fields.tm_mon + 1))-\(two(fields.tm_mday))T\(two(fields.tm_hour)):"
            + "\(two(fields.tm_min)):\(two(fields.tm_sec)).\(thousandths.dropFirst())Z"
    }
}
