import CFFmpeg

// From frames to the timeline and the samplers.
extension DecodeSession {
    /// Presents a decoded frame: drops damaged ones, and places it on the timeline once its time is certain.
    func present(_ frame: borrowing DecodedFrame) throws {
        reference?.countFrame()
        if request.sampling == .keyframes, frame.pointer.pointee.key_frame == 0 { return }
        let pts = try timestamp(of: frame)
        if frame.isCorrupt { try requireFullDecoding() }
        if frame.isCorrupt, !request.keepCorrupt {
            result.counters.framesCorrupt += 1
            return
        }
        guard !timeline.isBeforePiece(pts) else { return }
        let newSize = [frame.pointer.pointee.width, frame.pointer.pointee.height]
        if !size.isEmpty, newSize != size { result.counters.sizeChanges += 1 }
        size = newSize
        source.codedOrientation.carry(frame)
        DisplayNotes.describe(frame, hasOrientation: source.hasOrientation, in: &result)
        // libavformat returns frames during an empty edit that the file does not show there.
        if let edits = source.edits, edits.isEmpty(at: timing.seconds(pts)) { return }
        try settlePending(before: pts)
        if request.sampling == .grid, timeline.jumpsAhead(to: pts), !isStopped {
            try pending.hold(frame, pts: pts)
        } else {
            try place(frame, pts)
        }
    }

    /// Presents a frame that was not decoded, as `present` does with others.
    func present(_ frame: SkippedFrames.Skipped) throws {
        clock.pass(frame.pts, duration: frame.duration)
        guard !timeline.isBeforePiece(frame.pts) else { return }
        if let edits = source.edits, edits.isEmpty(at: timing.seconds(frame.pts)) { return }
        try settlePending(before: frame.pts)
        if timeline.jumpsAhead(to: frame.pts), !isStopped {
            pending.hold(frame)
        } else {
            try placeSkipped(frame.pts, stated: frame.duration)
        }
    }

    /// Places the frame that waits for confirmation of its time; no later frame can prove it wrong any more.
    func placePending() throws {
        guard let waiting = pending.take() else { return }
        try place(waiting)
    }

    private func settlePending(before pts: Int64) throws {
        guard let waiting = pending.take() else { return }
        if timeline.refutes(jumpTo: waiting.pts, next: pts) {
            try requireNothingSkipped()
            result.counters.framesOutOfOrder += 1
        } else {
            try place(waiting)
        }
    }

    private func place(_ waiting: PendingFrame.Waiting) throws {
        if let holder = waiting.frame {
            try place(holder.frame, waiting.pts)
        } else {
            try placeSkipped(waiting.pts, stated: waiting.duration)
        }
    }

    private func timestamp(of frame: borrowing DecodedFrame) throws -> Int64 {
        let (pts, guessed) = clock.time(of: frame)
        if guessed {
            guard result.info.framesPerSecond != nil else { throw MediaError.noTimestamps() }
            result.note(
                "no_timestamps", "the frames have no timestamps; their times follow from the stream's frame rate")
        }
        return pts
    }

    private func placeSkipped(_ pts: Int64, stated: Int64) throws {
        guard let position = try position(pts, stated: stated) else { return }
        shown.skip(pts: position.pts, seconds: position.seconds)
    }

    private func place(_ frame: borrowing DecodedFrame, _ pts: Int64) throws {
        guard let position = try position(pts, stated: frame.pointer.pointee.pkt_duration) else { return }
        try shown.show(frame, of: source, pts: position.pts, seconds: position.seconds)
        if request.sampling == .keyframes {
            try emit(keyFrames, at: position.seconds)
            keyFrames += 1
        }
        guard let due = reference?.advance() else { return }
        for index in due { try emit(index) }
        if reference?.isComplete == true { isStopped = true }
    }

    /// Places a frame on the timeline, after sending the frame before it for the grid times until now.
    ///
    /// - Parameter stated: the frame's duration in units of the time base; 0 if unknown.
    ///
    /// - Returns: nil if the frame is not shown.
    private func position(_ pts: Int64, stated: Int64) throws -> RecordingTimeline.Position? {
        guard !isStopped else { return nil }
        if timeline.needsMap(for: pts) { timeline.use(try timeMap()) }
        guard let position = timeline.place(pts) else {
            try requireNothingSkipped()
            result.counters.framesOutOfOrder += 1
            return nil
        }
        let isReference = request.sampling == .reference
        if request.sampling == .grid {
            // The previous frame was shown until now.
            for index in grid.advance(to: position.seconds) { try emit(index) }
            guard !isStopped else { return nil }
        }
        try sendStart()
        let duration = timing.seconds(!isReference && stated > 0 ? stated : timing.frameDuration)
        timeline.show(at: position.seconds, for: isReference ? duration : min(duration, request.maxGap))
        return position
    }

    /// Scans the timestamps of all packets from the start of the file with a separate demuxer.
    private func timeMap() throws -> TimeMap? {
        let other = reader.another()
        guard let demuxer = try? Demuxer(other, maxPixels: request.maxPixels), demuxer.streamCount > streamIndex else {
            return nil
        }
        let scan = TimeScan(
            other, streamIndex: streamIndex, timing: timing, statedEnd: statedEnd,
            isTransportStream: result.info.format == "mpegts")
        return try scan.map(demuxer) { try sendHeartbeat(scanned: other.highWater) }
    }

    /// End of the video by the container's header, as a timestamp of the stream; nil if it is not stated.
    private var statedEnd: Int64? {
        guard timing.counter.wrapPeriod == nil, duration.isOfVideo, let stated = result.info.duration, stated > 0 else {
            return nil
        }
        // Muxers disagree on whether the duration counts from 0 or from the first frame.
        let start = stream.pointee.start_time
        let offset = start != AV_NOPTS_VALUE ? timing.seconds(start) : 0
        return timing.timeBase.units(max(0, offset) + stated * 1.01)
    }
}
