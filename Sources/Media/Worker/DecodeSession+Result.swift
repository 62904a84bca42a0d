import CFFmpeg

// The end of a recording.
extension DecodeSession {
    /// Sends the last frames, and completes the result.
    func finish() throws {
        try placePending()
        if request.sampling == .grid {
            if !shown.isEmpty, !isStopped {
                for index in grid.finish(at: timeline.end) where !isStopped { try emit(index) }
            }
        } else if request.sampling == .reference, !shown.isEmpty, !isStopped, let rest = reference?.finish() {
            // Fewer frames came than were counted: repeat the last one for the rest.
            for index in rest where !isStopped { try emit(index) }
        }
        timeline.describeFaults(in: &result, otherStart: timing.earliestStart(except: streamIndex))
        result.counters.bytesRead = reader.highWater
        result.coveredSeconds = timeline.end
        if shown.isEmpty, result.counters.packets == 0, let end = indexEnd, end > 0, end <= reader.fileSize {
            throw MediaError.externalData()
        }
        guard !shown.isEmpty else {
            if request.sampling == .keyframes, result.counters.packetErrors + result.counters.framesCorrupt == 0 {
                throw MediaError.noKeyFrames(result.counters.packets)
            }
            throw MediaError.nothingDecoded(result.counters.packets, errors: result.counters.packetErrors)
        }
        if keyFrames == 1, result.counters.packets > 1 {
            result.note("one_key_frame", "only the first of \(result.counters.packets) frames is a key frame")
        }
        let isToEnd = !isStopped && request.sampling != .reference
        if isToEnd {
            describeTrailingRecording()
            packets.describe(in: &result)
        }
        result.describeCompleteness(
            readToEnd: isToEnd && duration.isOfVideo, indexEnd: indexEnd, fileSize: reader.fileSize)
    }

    /// Adds a note if another recording follows in the file, which demuxers do not read.
    private func describeTrailingRecording() {
        let found = TrailingRecording.find(in: reader, format: result.info.format, lastPacket: packets.lastPosition)
        guard let found else { return }
        result.status = .partial
        result.note(
            "another_recording",
            "another recording (\(found.container)) begins at byte \(found.offset) of the file and was not decoded; "
                + "copy it into a file of its own (tail -c +\(found.offset + 1) FILE)")
    }

    /// The file offset where the last frame in an MP4's index ends; nil if the container has no such index.
    private var indexEnd: Int64? {
        guard result.info.format.hasPrefix("mov") else { return nil }
        var end: Int64 = 0
        for number in 0..<avformat_index_get_entries_count(stream) {
            guard let entry = avformat_index_get_entry(stream, number) else { break }
            end = max(end, entry.pointee.pos.addingReportingOverflow(Int64(entry.pointee.size)).partialValue)
        }
        return end
    }
}
