import CFFmpeg

// A transport stream's program table may change the codec of a PID: the rest is then decoded as a separate file.
extension DecodeSession {
    /// Decodes all that a demuxer reads, and continues after each codec change in a program table.
    func decodeAll(_ demuxer: borrowing Demuxer) throws {
        try decode(demuxer)
        let pid = stream.pointee.id
        var parts = 1
        while let change = reader.change, !stop || request.sampling == .reference {
            parts += 1
            guard request.sampling == .grid, parts <= StreamPlan.maxPieces else {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "at \(coveredText) s the video's codec changes; what follows was not decoded"
                        + (request.sampling == .grid ? "" : "; grid sampling follows it"))
                return
            }
            do {
                try goOn(reader.from(change.start), pid: pid)
            } catch let error as MediaError where shown && error.code != .encrypted {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "at \(coveredText) s the video's codec changes; what follows cannot be decoded: \(error.message)")
                return
            }
        }
    }

    private func goOn(_ next: FileReader, pid: Int32) throws {
        let before = codecName
        reader = next
        lastPosition = 0
        let demuxer = try Demuxer(next, maxPixels: request.maxPixels)
        var ignored = DecodeResult()
        let same = (0..<demuxer.streamCount).first { index in
            demuxer.stream(index).map { $0.pointee.id == pid && VideoChoice.kind($0) == .video } ?? false
        }
        streamIndex = try demuxer.selectVideo(same, maxPixels: request.maxPixels, notes: &ignored)
        guard let stream = demuxer.stream(streamIndex), let codec = stream.pointee.codecpar?.pointee.codec_id else {
            return
        }
        codecName = String(cString: avcodec_get_name(codec))
        try begin(Source(stream, squarePixels: squarePixels, maxPixels: request.maxPixels), from: nil)
        // Unlike the pieces of other streams, this part has a continuous clock that a scan of the file can map.
        timeline = Timeline(
            tick: tick, counts33Bits: counts33Bits, maxGap: request.maxGap, frameTicks: frameTicks)
        if codecName != before {
            result.note(
                "codec_changed",
                "at \(coveredText) s the video's codec changes from \(before) to \(codecName), which was followed")
        }
        try decode(demuxer)
    }
}
