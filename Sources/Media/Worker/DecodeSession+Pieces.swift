import CFFmpeg

// A recording may continue in another video stream: another PID of a transport stream, another track, size or codec.
// A piece is an interval of the recording whose frames come from one stream (`StreamScan.Run`).
extension DecodeSession {
    /// Switches to another stream: all later frames come from it.
    ///
    /// - Parameters:
    ///   - from: seconds on the container's clock; frames before it are not shown.
    ///   - isMappable: true if a scan of the file can map the stream's timestamps (`TimeMap`).
    func beginPiece(_ source: SourceStream, from: Double?, isMappable: Bool) throws {
        try placePending()
        packets.endPiece()
        self.source = source
        timeline.beginPiece(from: from, isMappable: isMappable)
    }

    /// Scans the file for the order of its video streams; called when another continues without the chosen one.
    ///
    /// - Returns: all pieces, including those already decoded; nil, with a note, if the streams change too often.
    func planPieces() throws -> StreamPlan? {
        let scanReader = reader.another()
        var heartbeat = Heartbeat(output)
        let scan = try StreamScan(scanReader, maxPixels: request.maxPixels) {
            try heartbeat.send(highWater: scanReader.highWater)
        }
        guard !scan.isCutOff else {
            result.status = .partial
            result.note(
                "stream_ended",
                "the video changes streams more often than this program follows (\(StreamScan.maxRuns) times per stream); "
                    + "only stream \(streamIndex) was decoded")
            return nil
        }
        let streams = scan.decodable
        return StreamPlan(scan, chosen: streamIndex) { [mayContinue] in mayContinue && streams.contains($0) }
    }

    /// False if a stream was requested by index or for reference sampling: only the chosen stream is decoded.
    private var mayContinue: Bool { request.stream == nil && request.sampling == .grid }

    /// Decodes the pieces after the first `done`, each in a separate pass over the file.
    func decodePieces(_ plan: StreamPlan, after done: Int) throws {
        var changes: [String] = []
        var last = done > 0 ? plan.pieces[done - 1].stream : nil
        for (number, piece) in plan.pieces.enumerated().dropFirst(done) where !isStopped {
            guard number < StreamPlan.maxPieces else {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video changes streams \(counted(plan.pieces.count - 1, "time")), the limit is "
                        + "\(StreamPlan.maxPieces - 1); nothing after \(coveredText) s was decoded")
                break
            }
            let covered = coveredText
            let framesBefore = result.counters.framesDecoded
            var reason = ""
            do {
                try decode(piece)
            } catch let error as MediaError where !shown.isEmpty && error.code != .encrypted {
                reason = ": " + error.message
            }
            if result.counters.framesDecoded == framesBefore {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video continues in stream \(piece.stream) at \(covered) s, which cannot be decoded\(reason)")
            } else {
                if let last, changes.count < 4 {
                    changes.append("stream \(last) ends at \(covered) s, stream \(piece.stream) continues")
                }
                last = piece.stream
            }
        }
        if !changes.isEmpty {
            result.note(
                "stream_followed",
                "the video continues in another stream, which was decoded too: " + changes.joined(separator: "; "))
        }
    }

    /// Adds a note about a stream that continues after the last frame and was not decoded.
    func describeLeft(_ plan: StreamPlan) {
        guard let left = plan.left, !isStopped else { return }
        // If a stream was requested by index, the others are not missing.
        if request.stream == nil { result.status = .partial }
        result.note(
            "stream_ended",
            "the video of stream \(streamIndex) ends at \(coveredText) s; stream \(left.stream) continues for "
                + "\((left.seconds * 10).rounded() / 10) s and was not decoded; "
                + "choose stream \(left.stream) to decode it")
    }

    /// Decodes one piece with its own reader, demuxer and decoder.
    private func decode(_ piece: StreamPlan.Run) throws {
        let pieceReader = reader.another()
        let demuxer = try Demuxer(pieceReader, maxPixels: request.maxPixels)
        if demuxer.isOrderedByPosition { pieceReader.limit = piece.last &+ FileReader.largestFrame }
        let packet = try Packet()
        var heartbeat = Heartbeat(output)
        guard try seek(piece, demuxer, packet, &heartbeat), let stream = demuxer.stream(piece.stream) else { return }
        if av_stream_get_side_data(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, nil) != nil {
            throw MediaError.encrypted()
        }
        let decoding = try Decoding(stream, request, packet: packet)
        // Keys are microseconds on the container's clock unless streams are ordered by position.
        try beginPiece(
            SourceStream(stream, squarePixels: request.wantsSquarePixels, maxPixels: request.maxPixels),
            from: demuxer.isOrderedByPosition ? nil : Double(piece.first) / 1e6, isMappable: false)
        repeat {
            if let key = StreamScan.key(decoding.packet, demuxer), key > piece.last { break }
            try count(decoding.packet)
            try decodePacket(decoding, decoding.packet)
        } while try !isStopped && next(of: piece, demuxer, decoding.packet, &heartbeat)
        av_packet_unref(decoding.packet.pointer)
        try drain(decoding)
        try placePending()
    }

    /// Reads up to the packet where the piece's decoding starts; returns false if the file ends before it.
    private func seek(
        _ piece: StreamPlan.Run, _ demuxer: borrowing Demuxer, _ packet: borrowing Packet, _ heartbeat: inout Heartbeat
    ) throws -> Bool {
        while try next(of: piece, demuxer, packet, &heartbeat) {
            if let key = StreamScan.key(packet, demuxer), key >= piece.from { return true }
        }
        return false
    }

    /// Reads the next packet of the piece's stream; returns false at the end or after 1000 read errors.
    private func next(
        of piece: StreamPlan.Run, _ demuxer: borrowing Demuxer, _ packet: borrowing Packet, _ heartbeat: inout Heartbeat
    ) throws -> Bool {
        var failures = 0
        while failures < 1000 {
            av_packet_unref(packet.pointer)
            let status = av_read_frame(demuxer.context, packet.pointer)
            if status == AVERROR_EOF { return false }
            if status < 0 {
                if status != AVERROR(EAGAIN) { failures += 1 }
                continue
            }
            try heartbeat.send(highWater: packet.pointer.pointee.pos)
            let index = packet.pointer.pointee.stream_index
            if index == Int32(piece.stream) { return true }
            // Streams found only now are not discarded yet: a transport stream can add them at any time.
            demuxer.stream(Int(index))?.pointee.discard = AVDISCARD_ALL
        }
        return false
    }
}

extension FileReader {
    /// Bytes read past a frame's position to get all of it, including other streams' packets in between.
    static let largestFrame: Int64 = 16 << 20
}
