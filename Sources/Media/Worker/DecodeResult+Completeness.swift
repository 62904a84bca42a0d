extension DecodeResult {
    /// Adds the notes on what is missing, and sets the status.
    ///
    /// - Parameters:
    ///   - readToEnd: neither a limit nor a list of wanted frames stopped decoding, and the length is the video's.
    ///   - indexEnd: the file offset where the last frame ends by the container's own index; nil if it has none.
    mutating func describeCompleteness(readToEnd: Bool, indexEnd: Int64?, fileSize: Int64) {
        if counters.framesOutOfOrder > 0 {
            note(
                "out_of_order",
                counted(
                    counters.framesOutOfOrder, "frame came after a later one and was left out",
                    "frames came after later ones and were left out"))
        }
        if counters.framesCorrupt + counters.packetErrors > 0 {
            note(
                "damaged",
                counted(counters.packetErrors, "damaged packet") + "; "
                    + counted(counters.framesCorrupt, "damaged frame was", "damaged frames were") + " left out")
            if Double(counters.framesCorrupt + counters.packetErrors) > 0.05 * Double(max(counters.packets, 1)) {
                status = .partial
            }
        }
        // Containers state their length before their end is lost. Matroska muxers disagree on its start: ffmpeg's
        // counts from 0, mkvmerge's from the first frame. FLV, ASF and Ogg state the last timestamp.
        let fromZero = ["matroska", "flv", "asf", "ogg"].contains { info.format.contains($0) }
        let offset = fromZero ? max(0, info.startSeconds ?? 0) : 0
        // After a discontinuity, the stated length is the difference of two unrelated timestamps.
        if let stated = info.duration, readToEnd, counters.discontinuities == 0,
            coveredSeconds + offset < stated - max(1.5, 0.01 * stated)
        {
            status = .partial
            note(
                "truncated",
                "the recording ends at \(seconds(coveredSeconds)) of \(seconds(stated)) s: it was cut off, or its "
                    + "stated duration is wrong"
            )
        }
        if let indexEnd, indexEnd > fileSize {
            status = .partial
            note(
                "truncated",
                "the recording is cut off at \(seconds(coveredSeconds)) s: its index refers to \(indexEnd) bytes, the "
                    + "file has \(fileSize)")
        }
    }

    private func seconds(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}
