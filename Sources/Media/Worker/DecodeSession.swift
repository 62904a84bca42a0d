import CFFmpeg
import Glibc

/// Decodes one recording inside the worker, from packets to sampled frames.
final class DecodeSession {
    let request: FrameRequest
    let output: WorkerOutput
    /// The file, or the rest of it after a codec change.
    var reader: FileReader
    private let fileSize: Int64
    var result = DecodeResult()
    private var clock: FrameClock
    var timeline: Timeline
    private var sampler: GridSampler
    private var wanted: [Int] = []  // reference sampling: indices of decoded frames
    private var counting: ImageCount?  // reference sampling: state of the first of two passes
    let stream: UnsafeMutablePointer<AVStream>
    var streamIndex: Int
    var codecName: String
    let squarePixels: Bool
    /// The stream being decoded.
    var source: Source
    private var shownSource: Source
    private var shownAspect = AVRational(num: 0, den: 1)
    var border = Border()
    var arrears = Arrears()
    var lastPosition: Int64 = 0
    var shown = false
    private var emitted = false
    private var size: [Int32] = []
    private var shownRGB: (width: Int, height: Int, parts: Int, pixels: [UInt8])?
    /// The image that was preprocessed last, and the result.
    private var last: (image: RGBImage, laidOut: [UInt8])?
    private var shownPTS: Int64 = 0
    private var shownTime = 0.0
    var endTime = 0.0
    private var ordinal = 0
    var stop = false
    private var beat = ContinuousClock.now

    /// Seconds per tick, rounded; `base` is exact.
    let tick: Double
    /// True if the stated duration is the video's own.
    private var lengthIsVideos = true
    let base: AVRational
    let frameTicks: Int64
    /// Start of the container's timeline in seconds, from which players count.
    private let containerStart: Double
    let counts33Bits: Bool
    /// Start of each audio and video stream, in seconds.
    private let fileStarts: [(stream: Int, start: Double)]
    /// A frame far from the one before, held until the next frame confirms its time.
    var leapt: (frame: HeldFrame, pts: Int64)?
    private var spare: HeldFrame?

    /// Decodes a recording from `reader` and sends all messages except failures.
    static func run(_ request: FrameRequest, reader: FileReader, fileSize: Int64, output: WorkerOutput) throws {
        let demuxer = try Demuxer(reader, maxPixels: request.maxPixels)
        let session = try DecodeSession(
            request, demuxer: demuxer, reader: reader, fileSize: fileSize, output: output)
        if case .probe = request.output {
            try session.output.send(.info, json: session.result.info)
            try session.output.send(.end, json: session.result)
            return
        }
        if request.sampling == .reference {
            try session.planReference(demuxer)
            // A second demuxer reads the same bytes again from the start.
            reader.rewind()
            let again = try Demuxer(reader, maxPixels: request.maxPixels)
            var ignored = DecodeResult()
            _ = try again.selectVideo(session.streamIndex, maxPixels: request.maxPixels, notes: &ignored)
            try session.decodeAll(again)
        } else {
            try session.decodeAll(demuxer)
        }
        try session.finish()
        try session.output.send(.end, json: session.result)
    }

    private init(
        _ request: FrameRequest, demuxer: borrowing Demuxer, reader: FileReader, fileSize: Int64, output: WorkerOutput
    ) throws {
        self.request = request
        self.fileSize = fileSize
        self.output = output
        self.reader = reader
        streamIndex = try demuxer.selectVideo(request, reader: reader, output: output, notes: &result)
        guard let stream = demuxer.stream(streamIndex), let parameters = stream.pointee.codecpar else {
            throw MediaError.library("the chosen stream is gone")
        }
        self.stream = stream
        codecName = String(cString: avcodec_get_name(parameters.pointee.codec_id))
        if av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) != nil {
            throw MediaError.encrypted()
        }
        let (width, height) = (Int(parameters.pointee.width), Int(parameters.pointee.height))
        if width > 0, height > 0, width > request.maxPixels / height {
            throw MediaError.tooLarge(width, height, limit: request.maxPixels)
        }
        let isMovie = demuxer.formatName.hasPrefix("mov")
        if isMovie,
            DataReferences.areElsewhere(
                descriptor: DecodeWorker.fileDescriptor, size: fileSize, track: stream.pointee.id)
        {
            throw MediaError.elsewhere()
        }
        let edits =
            isMovie
            ? EditList(descriptor: DecodeWorker.fileDescriptor, size: fileSize, track: stream.pointee.id) : nil
        let base = stream.pointee.time_base
        self.base = base.num > 0 && base.den > 0 ? base : AVRational(num: 1, den: 90_000)
        tick = Double(self.base.num) / Double(self.base.den)
        let rate = stream.pointee.avg_frame_rate
        let framesPerSecond = rate.num > 0 && rate.den > 0 ? Double(rate.num) / Double(rate.den) : nil
        frameTicks = max(1, Int64(saturating: (1 / (framesPerSecond ?? 25) / tick).rounded().clamped(to: 1...1e12)))
        let start = demuxer.context.pointee.start_time
        containerStart = start == lt_nopts ? 0 : Double(start) / Double(AV_TIME_BASE)
        fileStarts = (0..<demuxer.streamCount).compactMap { index in
            guard let other = demuxer.stream(index), other.pointee.start_time != lt_nopts,
                [AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO].contains(other.pointee.codecpar?.pointee.codec_type),
                other.pointee.time_base.den > 0
            else { return nil }
            let base = other.pointee.time_base
            return (index, Double(other.pointee.start_time) * Double(base.num) / Double(base.den))
        }
        clock = FrameClock(frameTicks: frameTicks)
        counts33Bits = demuxer.mayBreak && stream.pointee.pts_wrap_bits == 33
        timeline = Timeline(
            tick: tick, counts33Bits: counts33Bits, maxGap: request.maxGap, frameTicks: frameTicks)
        sampler = GridSampler(framesPerSecond: request.framesPerSecond, tick: tick)
        if !Orientation.of(stream).valid { result.note("invalid_rotation", Showing.rotation) }
        var squarePixels = true
        // The reference's resize ignores the pixel aspect ratio as well as the frame's.
        if case .model(let preprocessing, _) = request.output, preprocessing.frameLayout == .squashNearest {
            squarePixels = false
        }
        self.squarePixels = squarePixels
        source = Source(stream, squarePixels: squarePixels, maxPixels: request.maxPixels, edits: edits)
        shownSource = source
        if let edits { edits.describe(in: &result) }
        Showing.describe(stream, in: &result)
        if let note = Cropping.note(stream, demuxer, reader: reader, fileSize: fileSize) {
            result.note("cropping", note)
        }

        result.info.format = demuxer.formatName
        result.info.codec = codecName
        result.info.pixelFormat = Colour.name(parameters.pointee.format)
        result.info.stream = streamIndex
        result.info.width = width
        result.info.height = height
        result.info.framesPerSecond = framesPerSecond
        result.info.timeBase = [Int(base.num), Int(base.den)]
        describeDuration(demuxer)
    }

    /// Stores the duration; treats 0, negative values and values above 31 days as unknown, since headers are often
    /// wrong.
    private func describeDuration(_ demuxer: borrowing Demuxer) {
        var seconds = -1.0
        let whole = Double(demuxer.context.pointee.duration) / Double(AV_TIME_BASE)
        // libavformat copies the file's start and length to a stream that starts after the range it probes.
        let copied =
            !demuxer.formatName.hasPrefix("mov") && demuxer.context.pointee.nb_streams > 1
            && abs(inSeconds(stream.pointee.duration) - whole) < 0.001
        if let tagged = taggedDuration {
            seconds = tagged
        } else if stream.pointee.duration > 0, !copied {
            seconds = inSeconds(stream.pointee.duration)
        } else if demuxer.context.pointee.duration > 0 {
            seconds = whole
            // The duration of the longest stream, which may not be the video.
            lengthIsVideos = demuxer.context.pointee.nb_streams == 1
        }
        if demuxer.context.pointee.duration_estimation_method != AVFMT_DURATION_FROM_STREAM {
            // Estimated from the last timestamps in the file or from its bit rate, not stated.
            lengthIsVideos = false
            result.info.durationIsGuessed = true
        }
        if max(seconds, whole) > 31 * 86_400 {
            result.note(
                "duration_unreliable",
                "the container says the recording lasts \(Int(saturating: max(seconds, whole).clamped(to: 0...1e15))) s, which is not believed"
            )
        }
        if seconds > 0, seconds <= 31 * 86_400 {
            result.info.duration = seconds
        }
    }

    // MARK: Reference sampling

    /// Counts the stream's frames by decoding them, and computes the indices of the reference's formula.
    private func planReference(_ demuxer: borrowing Demuxer) throws {
        let before = result
        counting = ImageCount(clock: clock, tick: tick, fieldCoded: isFieldCoded)
        try decode(demuxer)
        guard let counted = counting else { return }
        counting = nil
        result = before
        guard let rate = counted.rate(result.info.framesPerSecond) else { throw MediaError.noTimestamps() }
        wanted = ReferenceSampling.indices(
            frameCount: counted.pictures, framesPerSecond: rate, sampleRate: request.framesPerSecond)
        guard !wanted.isEmpty else { throw MediaError.clipTooShort(counted.pictures, rate: rate) }
    }

    private func decoder(_ stream: UnsafeMutablePointer<AVStream>) throws -> VideoDecoder {
        if stream.pointee.codecpar?.pointee.codec_id == AV_CODEC_ID_NONE {
            throw ContainerHeader.unknownCodec(stream, format: result.info.format, reader: reader)
        }
        return try VideoDecoder(stream, threads: request.threads, maxPixels: request.maxPixels)
    }

    private var isFieldCoded: Bool {
        (stream.pointee.codecpar?.pointee.field_order.rawValue ?? 0) > AV_FIELD_PROGRESSIVE.rawValue
    }

    // MARK: The loop

    func decode(_ demuxer: borrowing Demuxer) throws {
        guard let stream = demuxer.stream(streamIndex) else { throw MediaError.library("the chosen stream is gone") }
        let decoder = try decoder(stream)
        // Counting frames does not depend on their pixels, so skip the loop filter.
        if counting != nil { decoder.context.pointee.skip_loop_filter = AVDISCARD_ALL }
        let packet = try Packet()
        let frame = try DecodedFrame()
        var corruptInput = 0
        var watch = StreamWatch(demuxer, chosen: streamIndex)
        var plan: StreamPlan?
        // Number of the plan's pieces that this demuxer covers.
        var own = 0
        readLoop: while !stop {
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == lt_averror(EAGAIN) {
                try heartbeat()
                continue
            }
            if status < 0 {
                if reader.failure != 0 {
                    result.status = .partial
                    result.note(
                        "read_error",
                        "reading stopped at byte \(reader.highWater): \(String(cString: strerror(reader.failure)))")
                } else if status != lt_averror_eof {
                    corruptInput += 1
                    result.counters.packetErrors += 1
                    // A demuxer that always fails makes no progress.
                    if corruptInput < 1000 { continue readLoop }
                }
                break
            }
            defer { av_packet_unref(packet.pointer) }
            if watch.sees(packet, demuxer) {
                plan = try lookThrough(demuxer)
                watch.end(demuxer)
                if let plan {
                    let first = plan.pieces.firstIndex { $0.stream == streamIndex }
                    own = result.counters.packets > 0 ? (first ?? -1) + 1 : 0
                    guard own > 0 else { break readLoop }
                    if demuxer.isOrderedByPosition {
                        reader.limit = plan.pieces[own - 1].last &+ FileReader.afterImage
                    }
                }
            }
            guard packet.pointer.pointee.stream_index == Int32(streamIndex) else {
                try heartbeat()
                continue
            }
            if let plan, let key = StreamScan.key(packet, demuxer), key > plan.pieces[own - 1].last { break }
            try decode(packet, decoder, frame)
        }
        if !stop {
            _ = decoder.sendEnd()
            try drain(decoder, frame)
        }
        if let plan {
            try follow(plan, after: own)
            describeLeft(plan)
        }
    }

    func decode(
        _ packet: borrowing Packet, _ decoder: borrowing VideoDecoder, _ frame: borrowing DecodedFrame
    ) throws {
        result.counters.packets += 1
        arrears.add(packet)
        counting?.add(packet)
        lastPosition = max(lastPosition, packet.pointer.pointee.pos)
        if packet.isEncrypted { throw MediaError.encrypted() }
        if packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_CORRUPT) != 0 { result.counters.packetErrors += 1 }
        var sent = decoder.send(packet)
        if sent == lt_averror(EAGAIN) {
            try drain(decoder, frame)
            sent = decoder.send(packet)
        }
        if sent < 0, sent != lt_averror(EAGAIN), !packet.isHeader(of: decoder.context.pointee.codec_id) {
            result.counters.packetErrors += 1
        }
        try drain(decoder, frame)
        try heartbeat()
    }

    func drain(_ decoder: borrowing VideoDecoder, _ frame: borrowing DecodedFrame) throws {
        var failures = 0
        while !stop {
            switch decoder.receive(into: frame) {
            case .frame:
                result.counters.framesDecoded += 1
                arrears.settle(frame)
                retime(frame)
                if counting == nil { try present(frame) } else { counting?.add(frame) }
                av_frame_unref(frame.pointer)
            case .needsInput, .ended: return
            case .failed:
                result.counters.packetErrors += 1
                failures += 1
                // A decoder may report several damaged frames, but not an unlimited number.
                if failures > 100 { return }
            }
        }
    }

    private func present(_ frame: borrowing DecodedFrame) throws {
        defer { ordinal += 1 }
        let pts = try time(of: frame)
        if frame.isCorrupt, !request.keepCorrupt {
            result.counters.framesCorrupt += 1
            return
        }
        guard !isBeforeBorder(pts) else { return }
        let newSize = [frame.pointer.pointee.width, frame.pointer.pointee.height]
        if !size.isEmpty, newSize != size { result.counters.sizeChanges += 1 }
        size = newSize
        source.coded.carry(frame)
        Showing.describe(frame, isTurned: source.isTurned, in: &result)
        // libavformat returns frames during an empty edit that the file does not show there.
        if let edits = source.edits, edits.isEmpty(at: inSeconds(pts)) { return }
        if let waiting = leapt {
            leapt = nil
            spare = waiting.frame
            if timeline.takesBack(waiting.pts, next: pts) {
                result.counters.framesOutOfOrder += 1
            } else {
                try place(waiting.frame.frame, waiting.pts)
            }
        }
        guard request.sampling == .grid, timeline.leaps(pts), !stop else {
            try place(frame, pts)
            return
        }
        let holder = try spare ?? HeldFrame()
        spare = nil
        holder.replace(by: frame)
        leapt = (holder, pts)
    }

    func place(_ frame: borrowing DecodedFrame, _ pts: Int64) throws {
        guard !stop else { return }
        if border.isOpen { startLine(at: pts) }
        if timeline.needsMap(for: pts) { timeline.follow(try timeMap()) }
        guard case .at(let ticks) = timeline.place(pts) else {
            result.counters.framesOutOfOrder += 1
            return
        }
        let seconds = border.lineStart + inSeconds(ticks)
        border.last = (pts, seconds)
        if request.sampling == .reference {
            try presentReference(frame, ticks: ticks, seconds: seconds)
            return
        }
        let due = sampler.advance(to: seconds)
        for index in due { try emit(index) }
        guard !stop else { return }
        try describeStart()
        let ticksShown = frame.pointer.pointee.pkt_duration > 0 ? frame.pointer.pointee.pkt_duration : frameTicks
        endTime = seconds + min(inSeconds(ticksShown), request.maxGap)
        try show(frame, ticks: ticks, seconds: seconds)
    }

    /// Scans the timestamps of all packets from the start of the file with a separate demuxer.
    private func timeMap() throws -> TimeMap? {
        let own = reader.another()
        guard let demuxer = try? Demuxer(own, maxPixels: request.maxPixels), demuxer.streamCount > streamIndex else {
            return nil
        }
        let scan = TimeScan(
            own, streamIndex: streamIndex, base: base, count: timeline.count, maxGap: request.maxGap,
            statedEnd: statedEnd, isTransportStream: result.info.format == "mpegts")
        return try scan.map(demuxer) { try heartbeat(read: own.highWater) }
    }

    /// End of the video by the container's header, in ticks of the stream; nil if it is not stated.
    private var statedEnd: Int64? {
        guard !counts33Bits, lengthIsVideos, let said = result.info.duration, said > 0 else { return nil }
        // Muxers disagree on whether the duration counts from 0 or from the first frame.
        let start = stream.pointee.start_time != lt_nopts ? inSeconds(stream.pointee.start_time) : 0
        return Int64(saturating: ((max(0, start) + said * 1.01) / tick).rounded())
    }

    // The frame being shown, by reference; it is converted only when a grid time needs it.
    private var held: HeldFrame?

    /// Rounds only once, so that 3 s stay 3 s in a time base of 1/1000.
    func inSeconds(_ ticks: Int64) -> Double { Double(ticks) * Double(base.num) / Double(base.den) }

    private func show(_ frame: borrowing DecodedFrame, ticks: Int64, seconds: Double) throws {
        shownPTS = border.ticks(seconds, tick: tick) ?? (timeline.origin ?? 0) &+ ticks
        shownTime = seconds
        shown = true
        shownRGB = nil
        emitted = false
        if held == nil { held = try HeldFrame() }
        held?.replace(by: frame)
        shownSource = source
        shownAspect = source.sampleAspect(of: frame)
    }

    /// Adds the notes about time jumps, and corrects the start if the first timestamps were strays.
    private func describeTimes() {
        let start = result.info.fileStart ?? 0
        if let first = border.firstOnLine {
            // The container's start is the stray time, if it is the video's.
            let others = fileStarts.filter { $0.stream != streamIndex }.map(\.start)
            let offset = others.min().map { inSeconds(first) - $0 } ?? 0
            result.info.fileStart = (0...request.maxGap).contains(offset) ? offset : 0
        }
        if border.strays > 0 {
            result.note(
                "stray_times",
                counted(border.strays, "frame")
                    + " had times that the recording leaves and comes back from; placed by order"
            )
        }
        guard border.discontinuities > 0 else { return }
        let times = border.discontinuities == 1 ? "once" : "\(border.discontinuities) times"
        var text = "the times broke off \(times); the timeline goes on across each break"
        var off = 0.0
        var parts: [String] = []
        for jump in border.breaks {
            off += jump.by
            parts.append("after \(Self.clockText(jump.at + start)) by up to \(Self.secondsText(off)) s")
        }
        if parts.count > 4 { parts = parts.prefix(3) + ["…"] + parts.suffix(1) }
        if !parts.isEmpty { text += "; times may be off " + parts.joined(separator: ", ") }
        result.note("discontinuity", text)
    }

    private static func clockText(_ seconds: Double) -> String {
        let whole = Int(saturating: seconds.rounded())
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }

    private static func secondsText(_ seconds: Double) -> String {
        // Rounded up, since it is a bound.
        "\(Int(saturating: seconds.rounded(.up)))"
    }

    /// Sends the start of the first presented frame, once.
    private func describeStart() throws {
        guard result.info.startSeconds == nil, let origin = timeline.origin else { return }
        result.info.startSeconds = inSeconds(origin)
        result.info.fileStart = max(0, inSeconds(origin) - containerStart)
        try output.send(.info, json: result.info)
    }

    private func presentReference(_ frame: borrowing DecodedFrame, ticks: Int64, seconds: Double) throws {
        try describeStart()
        endTime = seconds + inSeconds(frameTicks)
        try show(frame, ticks: ticks, seconds: seconds)
        while sent < wanted.count, wanted[sent] <= ordinal {
            try emit(sent)
            sent += 1
        }
        if sent == wanted.count { stop = true }
    }
    private var sent = 0

    private func time(of frame: borrowing DecodedFrame) throws -> Int64 {
        let (pts, guessed) = clock.time(of: frame)
        if guessed {
            guard result.info.framesPerSecond != nil else { throw MediaError.noTimestamps() }
            result.note("no_timestamps", "the frames have no times; they were counted at the stream's frame rate")
        }
        return pts
    }

    // MARK: Sending

    private func emit(_ index: Int) throws {
        let gridTime = Double(index) / request.framesPerSecond
        if gridTime >= request.maxDuration {
            stop = true
            result.status = .partial
            result.note("max_duration", "stopped at \(request.maxDuration) s, the maximum duration")
            return
        }
        if index >= request.maxFrames {
            stop = true
            result.status = .partial
            result.note("max_frames", "stopped after \(counted(request.maxFrames, "frame")), the maximum number")
            return
        }
        guard shown else { return }
        if emitted { result.counters.framesRepeated += 1 }
        emitted = true
        result.counters.framesSampled += 1
        guard index >= request.firstIndex else { return }
        if shownRGB == nil { shownRGB = try picture() }
        guard let rgb = shownRGB else { return }
        var message = WorkerMessage(.frame, payload: rgb.pixels.count)
        message.width = rgb.width
        message.height = rgb.height
        message.parts = rgb.parts
        message.index = index
        message.gridTime = gridTime
        message.pts = shownPTS
        message.ptsSeconds = shownTime
        message.highWater = reader.highWater
        try output.send(message, rgb.pixels)
    }

    private func picture() throws -> (Int, Int, Int, [UInt8]) {
        guard let held else { throw MediaError.library("no frame is held") }
        let image = try shownSource.converter.convert(held.frame, sampleAspect: shownAspect)
        switch request.output {
        case .probe, .sandbox, .native, .picture: return (image.width, image.height, 1, image.pixels)
        case .model(let preprocessing, let ratio):
            let count = ratio > 1 ? ratio * ratio + 1 : 1
            if let last, last.image.width == image.width, last.image.height == image.height,
                isSame(last.image.pixels, image.pixels)
            {
                return (preprocessing.side, preprocessing.side, count, last.laidOut)
            }
            let pixels = preprocessing.frameParts(image, ratio: ratio).flatMap(\.pixels)
            last = image.pixels.count <= Self.largestKept ? (image, pixels) : nil
            return (preprocessing.side, preprocessing.side, count, pixels)
        }
    }

    /// Maximum image bytes kept for reuse; larger than 4K, a still scene is preprocessed again for each frame to bound
    /// memory.
    private static let largestKept = 3 * 4096 * 2160

    private func finish() throws {
        try settle()
        if request.sampling == .grid {
            if shown, !stop {
                for index in sampler.finish(at: endTime) where !stop { try emit(index) }
            }
        } else {
            // Fewer frames came than were counted: repeat the last one for the rest.
            while shown, sent < wanted.count, !stop {
                try emit(sent)
                sent += 1
            }
        }
        border.add(timeline)
        result.counters.discontinuities = border.discontinuities
        describeTimes()
        result.counters.bytesRead = reader.highWater
        result.coveredSeconds = endTime
        if !shown, result.counters.packets == 0, let end = indexEnd, end > 0, end <= fileSize {
            throw MediaError.elsewhere()
        }
        guard shown else {
            throw MediaError.nothingDecoded(result.counters.packets, errors: result.counters.packetErrors)
        }
        if !stop, request.sampling == .grid {
            describeTrailing(after: lastPosition)
            arrears.describe(in: &result)
        }
        result.judge(
            readToEnd: !stop && request.sampling == .grid && lengthIsVideos, indexEnd: indexEnd, fileSize: fileSize)
    }

    /// Last reported file offset and frame count; heartbeats are sent at most ten times a second, only on progress.
    private var lastSign: (Int64, Int) = (-1, -1)
    private func heartbeat(read: Int64 = 0) throws {
        let now = ContinuousClock.now
        guard now - beat > .milliseconds(100) else { return }
        beat = now
        let sign = (reader.highWater &+ read, result.counters.framesDecoded)
        guard sign != lastSign else { return }
        lastSign = sign
        var message = WorkerMessage(.heartbeat, payload: 0)
        message.highWater = reader.highWater
        try output.send(message, [])
    }
}

extension Comparable {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
