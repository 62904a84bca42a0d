import CFFmpeg

// A transport stream's program table may change the codec of a PID: the rest is then decoded as a separate file.
extension DecodeSession {
    /// Decodes all that a demuxer reads, and continues after each codec change in a program table.
    func decodeAll(_ demuxer: borrowing Demuxer) throws {
        try decode(demuxer)
        let pid = stream.pointee.id
        var parts = 1
        while let change = reader.change, !isStopped || request.sampling == .reference {
            parts += 1
            guard request.sampling == .grid, parts <= StreamPlan.maxPieces else {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video's codec changes at \(coveredText) s; the rest was not decoded"
                        + (request.sampling == .grid ? "" : "; grid sampling follows it"))
                return
            }
            do {
                try decodeRest(reader.from(change.start), pid: pid)
            } catch let error as MediaError where !shown.isEmpty && error.code != .encrypted {
                result.status = .partial
                result.note(
                    "stream_ended",
                    "the video's codec changes at \(coveredText) s; the rest cannot be decoded: \(error.message)")
                return
            }
        }
    }

    private func decodeRest(_ next: FileReader, pid: Int32) throws {
        let before = codecName
        reader = next
        packets.restart()
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
        // Unlike the pieces of other streams, this part has a continuous clock that a scan of the file can map.
        try beginPiece(
            SourceStream(stream, squarePixels: request.wantsSquarePixels, maxPixels: request.maxPixels), from: nil,
            isMappable: true)
        if codecName != before {
            result.note(
                "codec_changed",
                "the video's codec changes from \(before) to \(codecName) at \(coveredText) s; the rest was decoded "
                    + "with it"
            )
        }
        try decode(demuxer)
    }
}
