import CFFmpeg
import Glibc

// From packets to frames.
extension DecodeSession {
    /// A decoder with the packet and the frame that are reused for all its input and output.
    struct Decoding: ~Copyable {
        let decoder: VideoDecoder
        let packet: Packet
        let frame: DecodedFrame

        init(
            _ stream: UnsafeMutablePointer<AVStream>, _ request: FrameRequest, packet: consuming Packet
        ) throws {
            let decoder = try VideoDecoder(stream, threads: request.threads, maxPixels: request.maxPixels)
            if !request.decodesInFull {
                // Damage then ends the attempt (`FullDecodingNeeded`) instead of being concealed.
                decoder.context.pointee.err_recognition |= AV_EF_EXPLODE
            }
            if request.sampling == .keyframes { decoder.context.pointee.skip_frame = AVDISCARD_NONKEY }
            let frame = try DecodedFrame()
            self.decoder = decoder
            self.packet = packet
            self.frame = frame
        }
    }

    /// Decodes the selected stream of a demuxer to its end, and then the streams that continue it.
    func decode(_ demuxer: borrowing Demuxer) throws {
        guard let stream = demuxer.stream(streamIndex) else {
            throw MediaError.library("the selected stream is missing")
        }
        if stream.pointee.codecpar?.pointee.codec_id == AV_CODEC_ID_NONE {
            throw ContainerHeader.unknownCodec(stream, format: result.info.format, reader: reader)
        }
        let decoding = try stages.measure(.opening) { try Decoding(stream, request, packet: Packet()) }
        // Counting frames does not depend on their pixels, so skip the loop filter.
        if counter != nil { decoding.decoder.context.pointee.skip_loop_filter = AVDISCARD_ALL }
        defer { groups = nil }
        let packet = decoding.packet.pointer
        var failures = 0
        var monitor = StreamMonitor(demuxer, chosen: streamIndex)
        var plan: StreamPlan?
        // Number of the plan's pieces that this demuxer covers.
        var covered = 0
        readLoop: while !isStopped {
            let status = stages.measure(.reading) { av_read_frame(demuxer.context, packet) }
            if status == AVERROR(EAGAIN) {
                try sendHeartbeat()
                continue
            }
            if status < 0 {
                if reader.failure != 0 {
                    result.status = .partial
                    result.note(
                        "read_error",
                        "reading stopped at byte \(reader.highWater): \(String(cString: strerror(reader.failure)))")
                } else if status != AVERROR_EOF {
                    failures += 1
                    result.counters.packetErrors += 1
                    // A demuxer that always fails makes no progress.
                    if failures < 1000 { continue readLoop }
                }
                break
            }
            defer { av_packet_unref(packet) }
            if monitor.observe(decoding.packet, demuxer) {
                plan = try planPieces()
                monitor.end(demuxer)
                if let plan {
                    let first = plan.pieces.firstIndex { $0.stream == streamIndex }
                    covered = result.counters.packets > 0 ? (first ?? -1) + 1 : 0
                    guard covered > 0 else { break readLoop }
                    if demuxer.isOrderedByPosition {
                        reader.limit = plan.pieces[covered - 1].last &+ FileReader.largestFrame
                    }
                }
            }
            guard packet.pointee.stream_index == Int32(streamIndex) else {
                try sendHeartbeat()
                continue
            }
            if let plan, let key = StreamScan.key(decoding.packet, demuxer), key > plan.pieces[covered - 1].last {
                break
            }
            if request.sampling == .keyframes { try takeKeyFrame(decoding) } else { try take(decoding) }
        }
        try flush(decoding, next: nil, isEnd: !isStopped)
        try presentGroups()
        try drain(decoding)
        try presentSkippedToEnd()
        isSkipping = false
        if let plan {
            try decodePieces(plan, after: covered)
            describeLeft(plan)
        }
    }

    /// Counts a packet of the stream.
    func count(_ packet: borrowing Packet) throws {
        result.counters.packets += 1
        counter?.add(packet)
        if packet.isEncrypted { throw MediaError.encrypted() }
        guard packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_CORRUPT) != 0 else { return }
        try requireFullDecoding()
        result.counters.packetErrors += 1
    }

    /// Sends a packet to the decoder and presents the frames it returns.
    func decodePacket(_ decoding: borrowing Decoding, _ packet: borrowing Packet) throws {
        packets.add(packet)
        var sent = stages.measure(.decoding) { decoding.decoder.send(packet) }
        if sent == AVERROR(EAGAIN) {
            try receiveFrames(decoding)
            sent = stages.measure(.decoding) { decoding.decoder.send(packet) }
        }
        if sent < 0, sent != AVERROR(EAGAIN), !packet.isHeader(of: decoding.decoder.context.pointee.codec_id) {
            try requireFullDecoding()
            result.counters.packetErrors += 1
        }
        try receiveFrames(decoding)
        try sendHeartbeat()
    }

    /// Presents the frames that are still in the decoder at the end of its stream.
    func drain(_ decoding: borrowing Decoding) throws {
        guard !isStopped else { return }
        _ = decoding.decoder.sendEnd()
        try receiveFrames(decoding)
    }

    /// Counts and presents a frame that came from a decoder.
    func receive(_ frame: borrowing DecodedFrame) throws {
        // Another thread may have found damage that this frame does not show yet.
        if lt_ffmpeg_errors() != errorsBefore { try requireFullDecoding() }
        result.counters.framesDecoded += 1
        packets.remove(frame)
        source.rescaleTimestamps(of: frame, to: timing.timeBase)
        if counter == nil {
            try presentSkipped(before: frame)
            try present(frame)
        } else {
            counter?.add(frame)
        }
    }

    func receiveFrames(_ decoding: borrowing Decoding) throws {
        var failures = 0
        while !isStopped {
            switch stages.measure(.decoding, { decoding.decoder.receive(into: decoding.frame) }) {
            case .frame:
                try receive(decoding.frame)
                av_frame_unref(decoding.frame.pointer)
            case .needsInput, .ended: return
            case .failed:
                try requireFullDecoding()
                result.counters.packetErrors += 1
                failures += 1
                // A decoder may report several damaged frames, but not an unlimited number.
                if failures > 100 { return }
            }
        }
    }
}
