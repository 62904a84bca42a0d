import CFFmpeg

// A recording may continue in another video stream: another PID of a transport stream, another track, size or codec.
extension DecodeSession {
    /// The stream whose frames are being decoded.
    struct Source {
        let timeBase: AVRational
        /// The container's pixel aspect ratio, which takes precedence over the frame's own, as in players.
        let sampleAspect: AVRational
        let converter: FrameConverter
        /// Edit list of the first stream; a frame of another stream is shown where the plan says.
        let edits: EditList?
        /// True if the container has a display matrix.
        let isTurned: Bool
        var coded = CodedOrientation()

        /// Copies what is needed, because a frame may still be shown after the demuxer has freed its stream.
        init(_ stream: UnsafeMutablePointer<AVStream>, squarePixels: Bool, maxPixels: Int, edits: EditList? = nil) {
            timeBase = stream.pointee.time_base
            sampleAspect = stream.pointee.sample_aspect_ratio
            let orientation = Orientation.of(stream).0
            isTurned = orientation != nil
            converter = FrameConverter(
                orientation: orientation, squarePixels: squarePixels,
                codec: stream.pointee.codecpar?.pointee.codec_id ?? AV_CODEC_ID_NONE, maxPixels: maxPixels)
            self.edits = edits
        }

        func sampleAspect(of frame: borrowing DecodedFrame) -> AVRational {
            sampleAspect.num > 0 && sampleAspect.den > 0 ? sampleAspect : frame.pointer.pointee.sample_aspect_ratio
        }
    }

    /// The boundary between two pieces, and the accumulated timeline results of all earlier pieces.
    struct Border {
        /// The last frame: its timestamp in the first stream's ticks, and seconds on the timeline.
        var last: (pts: Int64, seconds: Double)?
        /// True if the next frame is the first of a piece.
        var isOpen = false
        /// Start of the piece on the timeline, in seconds.
        var lineStart = 0.0
        /// Seconds by which a piece may start before the end of the previous one; frames in that overlap are left out.
        var overlap = 0.0
        var pieceStart = 0.0
        var earliest: Int64?
        /// The timestamp of the first frame, if it was in an earlier piece.
        var origin: Int64?
        private(set) var breaks: [Timeline.Break] = []
        private(set) var discontinuities = 0
        private(set) var strays = 0
        private(set) var firstOnLine: Int64?

        mutating func add(_ timeline: Timeline) {
            breaks += timeline.breaks.map { .init(at: $0.at + lineStart, by: $0.by) }
            discontinuities += timeline.discontinuities
            strays += timeline.strays
            if origin == nil { firstOnLine = timeline.firstOnLine }
        }

        mutating func breakOff(at seconds: Double, by jump: Double) {
            discontinuities += 1
            breaks.append(.init(at: seconds, by: jump))
        }

        /// Converts seconds on the timeline to ticks of the first frame's stream; nil within the first frame's own
        /// piece.
        func ticks(_ seconds: Double, tick: Double) -> Int64? {
            origin.map { $0 &+ Int64(saturating: (seconds / tick).rounded()) }
        }
    }

    /// Switches to another stream: all later frames come from it.
    ///
    /// - Parameter from: seconds on the container's clock; frames before it are not shown.
    func begin(_ source: Source, from: Double?) throws {
        try settle()
        arrears.close()
        self.source = source
        border.add(timeline)
        border.origin = border.origin ?? timeline.origin
        // A clock that restarted steps back by about the length of the piece.
        border.overlap = min(10, (endTime - border.pieceStart) / 2)
        border.pieceStart = endTime
        border.earliest = from.map { Int64(saturating: ($0 / tick - 0.5).rounded(.down)) }
        border.isOpen = true
        timeline = Timeline(
            tick: tick, counts33Bits: counts33Bits, maxGap: request.maxGap, frameTicks: frameTicks)
        timeline.follow(nil)
    }

    /// Maps the first frame of a piece to the timeline: at its own time if that continues, else after the last frame.
    func startLine(at pts: Int64) {
        border.isOpen = false
        guard let last = border.last else { return }
        let jump = inSeconds(timeline.count.step(from: last.pts, to: pts))
        if jump > 0, jump <= request.maxGap {
            border.lineStart = last.seconds + jump
        } else {
            border.lineStart = endTime
            border.breakOff(at: endTime, by: abs(jump))
        }
    }

    /// True if the previous stream already had frames at this time: two recordings of one program overlap where they
    /// meet.
    func isBeforeBorder(_ pts: Int64) -> Bool {
        if let earliest = border.earliest, pts < earliest { return true }
        guard border.isOpen, let last = border.last else { return false }
        let ahead = timeline.count.step(from: pts, to: last.pts)
        return ahead >= 0 && inSeconds(ahead) <= border.overlap
    }

    /// Converts a frame's timestamps from its own stream's time base to that of the first stream.
    func retime(_ frame: borrowing DecodedFrame) {
        let own = source.timeBase
        guard own.num > 0, own.den > 0, own.num != base.num || own.den != base.den else { return }
        func ticks(_ value: Int64) -> Int64 {
            guard value != lt_nopts else { return value }
            let seconds = Double(value) * Double(own.num) / Double(own.den)
            return Int64(saturating: (seconds * Double(base.den) / Double(base.num)).rounded())
        }
        frame.pointer.pointee.pts = ticks(frame.pointer.pointee.pts)
        frame.pointer.pointee.best_effort_timestamp = ticks(frame.pointer.pointee.best_effort_timestamp)
        frame.pointer.pointee.pkt_duration = ticks(frame.pointer.pointee.pkt_duration)
    }

    /// Scans the file once for the order of its video streams, because another one continues without the chosen one.
    ///
    /// - Returns: the streams that follow the piece being decoded; nil if decoding goes on unchanged.
    func lookThrough(_ demuxer: borrowing Demuxer) throws -> StreamPlan? {
        let other = reader.another()
        var sign = SignOfLife(output)
        let scan = try StreamScan(other, maxPixels: request.maxPixels) { try sign.send(at: other.highWater) }
        guard !scan.isCutOff else {
            result.status = .partial
            result.note(
                "stream_ended",
                "the video changes streams too often to be followed; only stream \(streamIndex) was decoded")
            return nil
        }
        let streams = scan.decodable
        return StreamPlan(scan, chosen: streamIndex) { [mayFollow] in mayFollow && streams.contains($0) }
    }

    /// False for streams requested by index and for reference sampling: then only the chosen stream is decoded.
    private var mayFollow: Bool { request.stream == nil && request.sampling == .grid }

    /// Decodes the remaining pieces, each in a separate pass over the file.
    func follow(_ plan: StreamPlan, after done: Int) throws {
        var ends: [String] = []
        var last = done > 0 ? plan.pieces[done - 1].stream : nil
        for (number, piece) in plan.pieces.enumerated().dropFirst(done) where !stop {
            guard number < StreamPlan.maxPieces else {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video changes streams \(counted(plan.pieces.count - 1, "time")); what comes after the change at "
                        + "\(coveredText) s was not decoded, the limit is \(StreamPlan.maxPieces)")
                break
            }
            let end = coveredText
            let before = result.counters.framesDecoded
            var reason = ""
            do {
                try play(piece)
            } catch let error as MediaError where shown && error.code != .encrypted {
                reason = ": " + error.message
            }
            if result.counters.framesDecoded == before {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video goes on in stream \(piece.stream) at \(end) s, which cannot be decoded\(reason)")
            } else {
                if let last, ends.count < 4 {
                    ends.append("stream \(last) ends at \(end) s, stream \(piece.stream) goes on")
                }
                last = piece.stream
            }
        }
        if !ends.isEmpty {
            result.note(
                "stream_followed",
                "the video goes on in another stream, which was followed: " + ends.joined(separator: "; "))
        }
    }

    /// Adds a note about a stream that continues after the last frame and was not decoded.
    func describeLeft(_ plan: StreamPlan) {
        guard let left = plan.left, !stop else { return }
        // If a stream was requested by index, the others are not missing.
        if request.stream == nil { result.status = .partial }
        result.note(
            "stream_ended",
            "the video of stream \(streamIndex) ends at \(coveredText) s; stream \(left.stream) goes on for "
                + "\((left.seconds * 10).rounded() / 10) s and was not decoded; choose stream \(left.stream) to decode it"
        )
    }

    /// Adds a note if another recording follows in the file, which demuxers do not read.
    func describeTrailing(after position: Int64) {
        let found = TrailingRecording.find(in: reader, format: result.info.format, lastPacket: position)
        guard let found else { return }
        result.status = .partial
        result.note(
            "another_recording",
            "at byte \(found.offset) of the file another recording (\(found.kind)) begins, which was not decoded; take it by "
                + "itself (tail -c +\(found.offset + 1) FILE)")
    }

    private func play(_ piece: StreamPlan.Run) throws {
        let own = reader.another()
        let demuxer = try Demuxer(own, maxPixels: request.maxPixels)
        if demuxer.isOrderedByPosition { own.limit = piece.last &+ FileReader.afterImage }
        let packet = try Packet()
        var sign = SignOfLife(output)
        guard try seek(piece, demuxer, packet, &sign), let stream = demuxer.stream(piece.stream) else { return }
        if av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) != nil {
            throw MediaError.encrypted()
        }
        let decoder = try VideoDecoder(stream, threads: request.threads, maxPixels: request.maxPixels)
        let frame = try DecodedFrame()
        try begin(
            Source(stream, squarePixels: squarePixels, maxPixels: request.maxPixels),
            from: demuxer.isOrderedByPosition ? nil : Double(piece.first) / 1e6)
        repeat {
            if let key = StreamScan.key(packet, demuxer), key > piece.last { break }
            try decode(packet, decoder, frame)
        } while try !stop && next(of: piece, demuxer, packet, &sign)
        av_packet_unref(packet.pointer)
        if !stop {
            _ = decoder.sendEnd()
            try drain(decoder, frame)
        }
        try settle()
    }

    /// Presents a frame that waits for confirmation of its time; no later frame can prove it wrong any more.
    func settle() throws {
        guard let waiting = leapt else { return }
        leapt = nil
        try place(waiting.frame.frame, waiting.pts)
    }

    /// Reads up to the piece's first packet; returns false if the file ends before it.
    private func seek(
        _ piece: StreamPlan.Run, _ demuxer: borrowing Demuxer, _ packet: borrowing Packet, _ sign: inout SignOfLife
    ) throws -> Bool {
        while try next(of: piece, demuxer, packet, &sign) {
            if let key = StreamScan.key(packet, demuxer), key >= piece.from { return true }
        }
        return false
    }

    /// Reads the next packet of the piece's stream; returns false at the end.
    private func next(
        of piece: StreamPlan.Run, _ demuxer: borrowing Demuxer, _ packet: borrowing Packet, _ sign: inout SignOfLife
    ) throws -> Bool {
        var failures = 0
        while failures < 1000 {
            av_packet_unref(packet.pointer)
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == lt_averror_eof { return false }
            if status < 0 {
                if status != lt_averror(EAGAIN) { failures += 1 }
                continue
            }
            try sign.send(at: packet.pointer.pointee.pos)
            let index = packet.pointer.pointee.stream_index
            if index == Int32(piece.stream) { return true }
            // New streams can appear in a transport stream at any time.
            demuxer.stream(Int(index))?.pointee.discard = AVDISCARD_ALL
        }
        return false
    }

    var coveredText: String { "\((endTime * 100).rounded() / 100)" }
}

extension FileReader {
    /// Maximum bytes of a frame including other data between its parts.
    static let afterImage: Int64 = 16 << 20
}
