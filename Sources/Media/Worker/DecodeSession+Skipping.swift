import CFFmpeg

/// The recording is not what decoding in part or in parallel relies on: decode it again in full, with one thread.
struct FullDecodingNeeded: Error {}

// Decoding only what the sampled frames need. `frames.md` has the conditions.
extension DecodeSession {
    /// Sends a packet to the decoder, now or once it is known to be needed.
    func take(_ decoding: borrowing Decoding) throws {
        try count(decoding.packet)
        let pts = decoding.packet.pointer.pointee.pts
        let role = isSkipping && pts != AV_NOPTS_VALUE ? coded?.role(decoding.packet) ?? .irregular : .irregular
        // A stream that does not begin with an entry has frames that are never shown.
        guard role != .irregular, hasEntry || role == .entry else {
            try flush(decoding, next: nil)
            isSkipping = false
            let isShown = decoding.packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_DISCARD) == 0
            if skipped.isTracking, isShown { skipped.expect(pts) }
            return try decodePacket(decoding, decoding.packet)
        }
        hasEntry = true
        if role == .entry {
            try flush(decoding, next: pts)
        } else if queue.isFull {
            try flush(decoding, next: nil)
        }
        guard !isStopped else { return }
        try queue.add(decoding.packet, role)
        try sendHeartbeat()
    }

    /// Decodes what is needed of the queue.
    ///
    /// - Parameters:
    ///   - next: timestamp of the entry that follows; nil if there is none, or what follows may depend on the queue.
    ///   - isEnd: true if nothing follows.
    func flush(_ decoding: borrowing Decoding, next: Int64?, isEnd: Bool = false) throws {
        let packets = queue.takeAll()
        guard !packets.isEmpty else { return }
        skipped.isTracking = true
        firstQueued = firstQueued ?? packets.lazy.filter(\.isShown).map(\.pts).min()
        let base = timeline.latest ?? (firstQueued ?? 0, 0)
        let needs = PacketQueue.needs(packets, next: next) { isWanted(from: $0, until: $1, base: base) }
        let group = PacketGroup(packets, needs)
        if next != nil || isEnd && groups != nil, openGroups()?.fits(group) == true {
            groups?.add(group)
            while groups?.isFull == true, !isStopped { try presentGroup() }
            return
        }
        try presentGroups()
        (isParallel, groups) = (false, nil)
        defer { queue.reuse(packets) }
        for (queued, need) in zip(packets, needs) where !isStopped {
            if expect(queued, need) { try decodePacket(decoding, queued.packet) }
        }
    }

    /// Opens the decoders of groups for the first one; nil if the stream is not decoded in groups.
    private func openGroups() -> GroupDecoders? {
        guard isParallel, coded?.isParallel == true else { return nil }
        if groups == nil { groups = GroupDecoders(stream, request) }
        return groups
    }

    /// Expects the frame of a packet that is decoded, or takes note of one that is left out; returns whether it is decoded.
    private func expect(_ queued: QueuedPacket, _ need: PacketQueue.Need) -> Bool {
        let isDecoded = need != .nothing
        if !isDecoded { packets.skip(queued.packet) }
        guard queued.isShown else { return isDecoded }
        if isDecoded {
            skipped.expect(queued.pts)
        } else {
            result.counters.framesSkipped += 1
            skipped.skip(queued.pts, duration: queued.duration)
        }
        return isDecoded
    }

    /// Presents the frames of all groups that are being decoded.
    func presentGroups() throws {
        while groups?.isEmpty == false, !isStopped { try presentGroup() }
    }

    /// Presents the frames of the first group, as they come.
    private func presentGroup() throws {
        guard let groups, let group = groups.takeFirst() else { return }
        for (queued, need) in zip(group.packets, group.needs) where expect(queued, need) { packets.add(queued.packet) }
        while !isStopped, let held = try stages.measure(.decoding, { try groups.next(of: group) }) {
            try receive(held.frame)
            try sendHeartbeat()
        }
        // Its thread may still read them if it was not decoded to its end.
        if !isStopped { queue.reuse(group.packets) }
    }

    /// True if a frame shown between two timestamps may be that of a grid time.
    ///
    /// If the times turn out otherwise, `emit` finds a frame that was skipped.
    private func isWanted(from: Int64, until: Int64, base: (pts: Int64, seconds: Double)) -> Bool {
        func seconds(_ pts: Int64) -> Double {
            base.seconds + timing.seconds(timing.counter.step(from: base.pts, to: pts))
        }
        let (start, end) = (seconds(from), seconds(until))
        guard end > start, end - start < 60 else { return true }
        // Far above the rounding of these sums, far below a frame.
        let margin = 1e-6
        let first = ((start - margin - grid.tolerance) * request.framesPerSecond).rounded(.up)
        return max(first, Double(request.firstIndex)) / request.framesPerSecond + grid.tolerance < end + margin
    }

    /// Presents the skipped frames that are shown before a decoded one, and checks that it is the one that was sent.
    func presentSkipped(before frame: borrowing DecodedFrame) throws {
        guard skipped.isTracking else { return }
        let pts = frame.pointer.pointee.pts
        guard skipped.confirm(pts), frame.pointer.pointee.best_effort_timestamp == pts else {
            throw FullDecodingNeeded()
        }
        while !isStopped, let next = skipped.next(before: pts) { try present(next) }
    }

    /// Presents the skipped frames at the end of the stream.
    func presentSkippedToEnd() throws {
        guard skipped.isTracking, !isStopped else { return }
        if !skipped.isSettled { throw FullDecodingNeeded() }
        while !isStopped, let next = skipped.next(before: nil) { try present(next) }
        skipped.isTracking = false
    }

    /// Something does not fit: what was skipped may have been needed.
    func requireNothingSkipped() throws {
        if skipped.hasAny { throw FullDecodingNeeded() }
    }

    /// Damage was found: decoders conceal it differently with several threads.
    func requireFullDecoding() throws {
        if !request.decodesInFull { throw FullDecodingNeeded() }
    }
}
