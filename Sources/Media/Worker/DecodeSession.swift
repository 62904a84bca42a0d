import CFFmpeg
import Glibc

/// Decodes one recording inside the worker, from packets to sampled frames.
///
/// Demuxer and decoder give frames (`+Decoding`), the timeline gives each its time, the sampler picks those of grid
/// times (`+Presenting`), and the shown frame is converted and sent here. Other streams that continue the recording are
/// in `+Pieces` and `+Codec`.
final class DecodeSession {
    let request: FrameRequest
    let output: WorkerOutput
    var result = DecodeResult()
    let stages: StageTimer
    var heartbeat: Heartbeat
    /// The file, or the rest of it after a codec change.
    var reader: FileReader
    /// The stream that decoding started with.
    let stream: UnsafeMutablePointer<AVStream>
    var streamIndex: Int
    var codecName: String
    let timing: StreamTiming
    let duration: StatedDuration

    /// The stream being decoded.
    var source: SourceStream
    /// Reference sampling: the state of the first of two passes, which counts the frames.
    var counter: FrameCounter?
    var packets = PacketLog()
    var clock: FrameClock
    var timeline: RecordingTimeline
    /// Coded size of the last frame.
    var size: [Int32] = []
    var pending = PendingFrame()
    var grid: GridSampler
    /// Nil for grid sampling.
    var reference: ReferenceSampler?
    var shown: ShownFrame
    /// Number of key frames shown, if those are sampled.
    var keyFrames = 0
    /// What packets hold; nil if nothing can be skipped.
    var coded: CodedFrames?
    /// Number of FFmpeg's error messages before decoding.
    let errorsBefore: UInt32
    /// True while frames that are not sampled may be left out.
    var isSkipping = false
    /// True once decoding has reached a frame that depends on none before it.
    var hasEntry = false
    /// Timestamp of the first frame shown, until one is placed.
    var firstQueued: Int64?
    var queue = PacketQueue()
    /// Decodes groups of packets side by side; nil before the first one, and once that ended.
    var groups: GroupDecoders?
    /// False once a group was left to the one decoder, which then goes on alone.
    var isParallel = true
    var skipped = SkippedFrames()
    /// True once a limit is reached or nothing more is wanted.
    var isStopped = false

    /// Decodes a recording from `reader` and sends all messages except failures.
    ///
    /// Decodes what the sampled frames need, with several threads. At the first damage, or anything else that makes the
    /// outcome uncertain, starts over: everything is then decoded, in order, with one thread.
    static func run(_ request: FrameRequest, reader: FileReader, output: WorkerOutput) throws {
        let stages = StageTimer(isOn: request.measuresStages == true)
        guard !request.decodesInFull else {
            return try attempt(request, reader: reader, output: output, stages: stages)
        }
        do {
            try attempt(request, reader: reader, output: output, stages: stages)
        } catch is FullDecodingNeeded {
            var full = request
            full.decodesAll = true
            full.threads = 1
            full.firstIndex = max(request.firstIndex, output.nextIndex)
            try attempt(full, reader: reader.another(), output: output, stages: stages)
        }
    }

    private static func attempt(
        _ request: FrameRequest, reader: FileReader, output: WorkerOutput, stages: StageTimer
    ) throws {
        let demuxer = try stages.measure(.opening) { try Demuxer(reader, maxPixels: request.maxPixels) }
        let session = try DecodeSession(request, demuxer: demuxer, reader: reader, output: output, stages: stages)
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
        session.result.stages = stages.stages
        try session.output.send(.end, json: session.result)
    }

    private init(
        _ request: FrameRequest, demuxer: borrowing Demuxer, reader: FileReader, output: WorkerOutput,
        stages: StageTimer
    ) throws {
        self.request = request
        self.output = output
        self.stages = stages
        self.reader = reader
        heartbeat = Heartbeat(output)
        streamIndex = try demuxer.selectVideo(request, reader: reader, output: output, notes: &result)
        guard let stream = demuxer.stream(streamIndex), let parameters = stream.pointee.codecpar else {
            throw MediaError.library("the selected stream is missing")
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
            DataReferences.areExternal(
                descriptor: reader.descriptor, size: reader.fileSize, track: stream.pointee.id)
        {
            throw MediaError.externalData()
        }
        let edits =
            isMovie
            ? EditList(descriptor: reader.descriptor, size: reader.fileSize, track: stream.pointee.id) : nil
        timing = StreamTiming(stream, demuxer, maxGap: request.maxGap)
        duration = StatedDuration(stream, demuxer, timing.timeBase)
        clock = FrameClock(frameDuration: timing.frameDuration)
        timeline = RecordingTimeline(timing)
        if request.sampling == .grid, !request.decodesInFull { coded = CodedFrames(stream) }
        isSkipping = coded != nil
        errorsBefore = lt_ffmpeg_errors()
        grid = GridSampler(framesPerSecond: request.framesPerSecond, unit: timing.unit)
        shown = ShownFrame(output: request.output, stages: stages)
        source = SourceStream(
            stream, squarePixels: request.wantsSquarePixels, maxPixels: request.maxPixels, edits: edits)

        if !Orientation.of(stream).valid { result.note("invalid_rotation", DisplayNotes.rotation) }
        if let edits { edits.describe(in: &result) }
        DisplayNotes.describe(stream, in: &result)
        if let note = Cropping.note(stream, demuxer, reader: reader) { result.note("cropping", note) }
        result.info.format = demuxer.formatName
        result.info.codec = codecName
        result.info.pixelFormat = ColorConversion.name(parameters.pointee.format)
        result.info.stream = streamIndex
        result.info.dates = ContainerDates.read(demuxer, stream: streamIndex)
        result.info.width = width
        result.info.height = height
        result.info.framesPerSecond = timing.framesPerSecond
        result.info.timeBase = [Int(timing.timeBase.numerator), Int(timing.timeBase.denominator)]
        duration.describe(in: &result)
    }

    /// Counts the stream's frames by decoding them, and computes the indices of the reference's formula.
    private func planReference(_ demuxer: borrowing Demuxer) throws {
        let before = result
        let isFieldCoded =
            (stream.pointee.codecpar?.pointee.field_order.rawValue ?? 0) > AV_FIELD_PROGRESSIVE.rawValue
        counter = FrameCounter(clock: clock, unit: timing.unit, isFieldCoded: isFieldCoded)
        try decode(demuxer)
        guard let counted = counter else { return }
        counter = nil
        result = before
        guard let rate = counted.rate(result.info.framesPerSecond) else { throw MediaError.noTimestamps() }
        let indices = ReferenceSampling.indices(
            frameCount: counted.frames, framesPerSecond: rate, sampleRate: request.framesPerSecond)
        guard !indices.isEmpty else { throw MediaError.clipTooShort(counted.frames, rate: rate) }
        reference = ReferenceSampler(indices: indices)
    }

    /// Sends the start of the first presented frame, once.
    func sendStart() throws {
        guard result.info.startSeconds == nil, let first = timeline.firstTimestamp else { return }
        result.info.startSeconds = timing.seconds(first)
        result.info.fileStart = max(0, timing.seconds(first) - timing.containerStart)
        try output.send(.info, json: result.info)
    }

    /// Sends the shown frame for a grid time, unless a limit is reached.
    func emit(_ index: Int) throws { try emit(index, at: Double(index) / request.framesPerSecond) }

    /// Sends the shown frame as the sample `index`, for the time `gridTime` in seconds.
    func emit(_ index: Int, at gridTime: Double) throws {
        if gridTime >= request.maxDuration {
            isStopped = true
            result.status = .partial
            result.note("max_duration", "stopped at \(request.maxDuration) s, the maximum duration")
            return
        }
        if index >= request.maxFrames {
            isStopped = true
            result.status = .partial
            result.note("max_frames", "stopped after \(counted(request.maxFrames, "frame")), the maximum number")
            return
        }
        guard !shown.isEmpty else { return }
        if shown.isSampled { result.counters.framesRepeated += 1 }
        shown.isSampled = true
        result.counters.framesSampled += 1
        guard index >= request.firstIndex else { return }
        guard !shown.isSkipped else { throw FullDecodingNeeded() }
        let pixels = try shown.pixels()
        var message = WorkerMessage(.frame, payload: pixels.bytes.count)
        message.width = pixels.width
        message.height = pixels.height
        message.parts = pixels.parts
        message.index = index
        message.gridTime = gridTime
        message.pts = shown.pts
        message.ptsSeconds = shown.seconds
        message.highWater = reader.highWater
        try stages.measure(.sending) { try output.send(message, pixels.bytes) }
    }

    /// Reports progress.
    ///
    /// - Parameter scanned: bytes read meanwhile by another reader of the file.
    func sendHeartbeat(scanned: Int64 = 0) throws {
        try heartbeat.send(
            highWater: reader.highWater, bytes: reader.highWater &+ scanned, count: result.counters.framesDecoded)
    }

    /// End of the shown frames in seconds, for messages.
    var coveredText: String { "\((timeline.end * 100).rounded() / 100)" }
}

extension FrameRequest {
    /// False if the pixel aspect ratio is ignored: the reference's resize ignores it as well as the frame's.
    var wantsSquarePixels: Bool {
        guard case .model(let preprocessing, _) = output else { return true }
        return preprocessing.frameLayout != .squashNearest
    }
}
