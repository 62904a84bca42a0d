import CFFmpeg

// A recording may go on in another video stream: another PID of a transport stream, another track, another size or codec.
extension DecodeSession {
    /// The stream whose pictures are being decoded.
    struct Source {
        let timeBase: AVRational
        /// The container's shape of pixels, which goes before the picture's own, as in players.
        let sampleAspect: AVRational
        let converter: FrameConverter
        /// Of the first stream; a picture of another one is shown where the plan says.
        let edits: EditList?
        /// Whether the container has a display matrix.
        let isTurned: Bool
        var coded = CodedOrientation()

        /// Copies what is needed: the stream goes with its demuxer, a picture of it may still be shown then.
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

    /// Where one piece ended and the next one begins, and what came of the times of all before it.
    struct Border {
        /// The last picture: its own time in the first stream's ticks, and seconds on the line.
        var last: (pts: Int64, seconds: Double)?
        /// The next picture is the first one of a piece.
        var isOpen = false
        /// Where the piece's first picture lies on the line, in seconds.
        var lineStart = 0.0
        /// Seconds by which a piece may begin before the end of the one before, and the pictures there are left out.
        var overlap = 0.0
        var pieceStart = 0.0
        var earliest: Int64?
        /// The first picture's own time, where it was not in the piece at hand.
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

        /// A time on the line in the count of the first picture's stream; nil in that picture's own piece.
        func ticks(_ seconds: Double, tick: Double) -> Int64? {
            origin.map { $0 &+ Int64(saturating: (seconds / tick).rounded()) }
        }
    }

    /// From here on, pictures of another stream come.
    ///
    /// - Parameter from: seconds on the container's clock; what the decoder gives before is not shown.
    func begin(_ source: Source, from: Double?) throws {
        try settle()
        arrears.close()
        self.source = source
        border.add(timeline)
        border.origin = border.origin ?? timeline.origin
        // A clock that started over goes back by about all that the piece lasted.
        border.overlap = min(10, (endTime - border.pieceStart) / 2)
        border.pieceStart = endTime
        border.earliest = from.map { Int64(saturating: ($0 / tick - 0.5).rounded(.down)) }
        border.isOpen = true
        timeline = Timeline(
            tick: tick, counts33Bits: counts33Bits, maxGap: request.maxGap, frameTicks: frameTicks)
        timeline.follow(nil)
    }

    /// Puts the first picture of a piece on the line: at its own time where that goes on, else after the last picture.
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

    /// Whether the stream before had pictures of that time: two recordings of one program overlap where they meet.
    func isBeforeBorder(_ pts: Int64) -> Bool {
        if let earliest = border.earliest, pts < earliest { return true }
        guard border.isOpen, let last = border.last else { return false }
        let ahead = timeline.count.step(from: pts, to: last.pts)
        return ahead >= 0 && inSeconds(ahead) <= border.overlap
    }

    /// Puts a frame's times from its own stream's ticks into those of the first one.
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

    /// Another video stream goes on without the chosen one: reads the file once to see which follow each other.
    ///
    /// - Returns: what follows the piece that is being decoded; nil when that goes on as before.
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

    /// Streams that were asked for by number, and the reference's sampling, are taken alone.
    private var mayFollow: Bool { request.stream == nil && request.sampling == .grid }

    /// Decodes the pieces that follow, each in a pass of its own.
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

    /// Says what goes on after the last picture and was not decoded.
    func describeLeft(_ plan: StreamPlan) {
        guard let left = plan.left, !stop else { return }
        // A stream that was asked for is all that was asked for.
        if request.stream == nil { result.status = .partial }
        result.note(
            "stream_ended",
            "the video of stream \(streamIndex) ends at \(coveredText) s; stream \(left.stream) goes on for "
                + "\((left.seconds * 10).rounded() / 10) s and was not decoded, --stream \(left.stream) takes it")
    }

    /// Says where the file goes on with another recording, which demuxers do not read.
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

    /// No picture comes that could show a waiting one's time to be wrong.
    func settle() throws {
        guard let waiting = leapt else { return }
        leapt = nil
        try place(waiting.frame.frame, waiting.pts)
    }

    /// Reads to the piece's first packet; false where the file ends before.
    private func seek(
        _ piece: StreamPlan.Run, _ demuxer: borrowing Demuxer, _ packet: borrowing Packet, _ sign: inout SignOfLife
    ) throws -> Bool {
        while try next(of: piece, demuxer, packet, &sign) {
            if let key = StreamScan.key(packet, demuxer), key >= piece.from { return true }
        }
        return false
    }

    /// Reads the next packet of the piece's stream.
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
            // Transport streams get new streams on the way.
            demuxer.stream(Int(index))?.pointee.discard = AVDISCARD_ALL
        }
        return false
    }

    var coveredText: String { "\((endTime * 100).rounded() / 100)" }
}

extension FileReader {
    /// The bytes that a picture may take with all that lies between its parts.
    static let afterImage: Int64 = 16 << 20
}
