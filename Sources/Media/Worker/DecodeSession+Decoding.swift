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
        let decoding = try Decoding(stream, request, packet: Packet())
        // Counting frames does not depend on their pixels, so skip the loop filter.
        if counter != nil { decoding.decoder.context.pointee.skip_loop_filter = AVDISCARD_ALL }
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
            try decodePacket(decoding)
        }
        try drain(decoding)
        if let plan {
            try decodePieces(plan, after: covered)
            describeLeft(plan)
        }
    }

    /// Sends the packet to the decoder and presents the frames it returns.
    func decodePacket(_ decoding: borrowing Decoding) throws {
        result.counters.packets += 1
        packets.add(decoding.packet)
        counter?.add(decoding.packet)
        if decoding.packet.isEncrypted { throw MediaError.encrypted() }
        if decoding.packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_CORRUPT) != 0 { result.counters.packetErrors += 1 }
        var sent = stages.measure(.decoding) { decoding.decoder.send(decoding.packet) }
        if sent == AVERROR(EAGAIN) {
            try receiveFrames(decoding)
            sent = stages.measure(.decoding) { decoding.decoder.send(decoding.packet) }
        }
        if sent < 0, sent != AVERROR(EAGAIN), !decoding.packet.isHeader(of: decoding.decoder.context.pointee.codec_id) {
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

    private func receiveFrames(_ decoding: borrowing Decoding) throws {
        var failures = 0
        while !isStopped {
            switch stages.measure(.decoding, { decoding.decoder.receive(into: decoding.frame) }) {
            case .frame:
                result.counters.framesDecoded += 1
                packets.remove(decoding.frame)
                source.rescaleTimestamps(of: decoding.frame, to: timing.timeBase)
                if counter == nil { try present(decoding.frame) } else { counter?.add(decoding.frame) }
                av_frame_unref(decoding.frame.pointer)
            case .needsInput, .ended: return
            case .failed:
                result.counters.packetErrors += 1
                failures += 1
                // A decoder may report several damaged frames, but not an unlimited number.
                if failures > 100 { return }
            }
        }
    }
}
