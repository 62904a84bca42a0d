import CFFmpeg
import Glibc

/// Decodes single frames of a recording, each from the key frame before it.
///
/// Sends a frame only if it is certain: its own timestamp is the requested one, it was decoded from a key frame that is
/// not after it and that the decoder confirms as one, and it is not flagged as damaged. The caller reads the others in
/// one pass from the start.
struct StillSession: ~Copyable {
    /// Seconds before the wanted time to seek to, tried in turn: without an index, seeking may land after the key
    /// frame.
    private static let leads = [0.0, 12, 60]

    private let request: FrameRequest
    private let demuxer: Demuxer
    private let decoder: VideoDecoder
    private let converter: FrameConverter
    private let stream: UnsafeMutablePointer<AVStream>
    private let reader: FileReader
    private let output: WorkerOutput
    private var heartbeat: Heartbeat
    private var result = DecodeResult()
    /// Timestamp of the key frame that decoding started at, until the decoder has confirmed it as one.
    private var start: Int64?
    private var codedOrientation = CodedOrientation()

    /// Sends the requested frames that can be found, in order, then the end.
    static func run(_ request: FrameRequest, stills: [FrameRequest.Still], reader: FileReader, output: WorkerOutput)
        throws
    {
        var session = try StillSession(request, reader: reader, output: output)
        for still in stills { try session.send(still) }
        session.result.counters.bytesRead = reader.highWater
        try output.send(.end, json: session.result)
    }

    private init(_ request: FrameRequest, reader: FileReader, output: WorkerOutput) throws {
        self.request = request
        self.reader = reader
        self.output = output
        heartbeat = Heartbeat(output)
        let demuxer = try Demuxer(reader, maxPixels: request.maxPixels)
        let index = try demuxer.selectVideo(request, reader: reader, output: output, notes: &result)
        guard let stream = demuxer.stream(index) else { throw MediaError.library("the selected stream is missing") }
        decoder = try VideoDecoder(stream, threads: request.threads, maxPixels: request.maxPixels)
        converter = FrameConverter(
            orientation: Orientation.of(stream).0, squarePixels: true,
            codec: stream.pointee.codecpar?.pointee.codec_id ?? AV_CODEC_ID_NONE, maxPixels: request.maxPixels)
        self.stream = stream
        self.demuxer = demuxer
    }

    private mutating func send(_ still: FrameRequest.Still) throws {
        let frame = try DecodedFrame()
        for lead in Self.leads {
            guard try find(still.pts, lead: lead, into: frame) else { continue }
            let aspect = av_guess_sample_aspect_ratio(nil, stream, frame.pointer)
            let image = try converter.convert(frame, sampleAspect: aspect)
            var message = WorkerMessage(.frame, payload: image.pixels.count)
            (message.width, message.height, message.parts) = (image.width, image.height, 1)
            message.index = still.index
            message.gridTime = Double(still.index) / request.framesPerSecond
            message.pts = still.pts
            message.highWater = reader.highWater
            try output.send(message, image.pixels)
            result.counters.framesSampled += 1
            return
        }
    }

    /// Decodes up to the frame whose own timestamp is `pts`; returns false if it does not come.
    private mutating func find(_ pts: Int64, lead: Double, into frame: borrowing DecodedFrame) throws -> Bool {
        guard let timeBase = TimeBase(stream), pts != AV_NOPTS_VALUE else { return false }
        let units = Int64(saturating: lead * Double(timeBase.denominator) / Double(timeBase.numerator))
        let (target, overflow) = pts.subtractingReportingOverflow(units)
        guard !overflow, av_seek_frame(demuxer.context, stream.pointee.index, target, AVSEEK_FLAG_BACKWARD) >= 0 else {
            return false
        }
        avcodec_flush_buffers(decoder.context)
        let packet = try Packet()
        start = nil
        var begun = false
        while true {
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == AVERROR(EAGAIN) { continue }
            guard status >= 0 else { break }
            defer { av_packet_unref(packet.pointer) }
            guard packet.pointer.pointee.stream_index == stream.pointee.index else { continue }
            result.counters.packets += 1
            if packet.isEncrypted { throw MediaError.encrypted() }
            if !begun {
                guard packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_KEY) != 0 else { continue }
                // A frame that follows a key frame in the file but is shown before it may reference frames that were
                // not read.
                let time = packet.pointer.pointee.pts
                guard time != AV_NOPTS_VALUE, time <= pts else { return false }
                (begun, start) = (true, time)
            }
            var sent = decoder.send(packet)
            if sent == AVERROR(EAGAIN) {
                if let found = receive(pts, frame) { return found }
                sent = decoder.send(packet)
            }
            if let found = receive(pts, frame) { return found }
            try heartbeat.send(highWater: reader.highWater, count: result.counters.packets)
        }
        _ = decoder.sendEnd()
        return receive(pts, frame) ?? false
    }

    /// Reads the decoder's output until the wanted frame.
    ///
    /// Returns true at the wanted frame, false once it cannot come any more, nil if the decoder needs more input.
    private mutating func receive(_ pts: Int64, _ frame: borrowing DecodedFrame) -> Bool? {
        var failures = 0
        while true {
            switch decoder.receive(into: frame) {
            case .frame:
                result.counters.framesDecoded += 1
                codedOrientation.carry(frame)
                // A timestamp that the decoder guessed is not proof.
                let own = frame.pointer.pointee.pts
                if let time = start, own != AV_NOPTS_VALUE, own >= time {
                    // The container's key flag alone is not proof: an MP4 without a table of key frames flags every
                    // packet.
                    guard own == time, frame.pointer.pointee.key_frame != 0 else { return false }
                    start = nil
                }
                if own == pts { return request.keepCorrupt || !frame.isCorrupt }
                guard own != AV_NOPTS_VALUE, own < pts else { return false }
                av_frame_unref(frame.pointer)
            case .needsInput: return nil
            case .ended: return false
            case .failed:
                failures += 1
                if failures > 100 { return false }
            }
        }
    }
}
