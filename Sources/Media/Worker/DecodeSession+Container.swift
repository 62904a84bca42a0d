import CFFmpeg

// Container metadata other than the frames.
extension DecodeSession {
    /// The duration tag that Matroska muxers write for each stream (00:00:10.040000000), in seconds.
    var taggedDuration: Double? {
        guard let entry = av_dict_get(stream.pointee.metadata, "DURATION", nil, 0), let value = entry.pointee.value
        else {
            return nil
        }
        let parts = String(cString: value).split(separator: ":").map { Double($0) }
        guard parts.count == 3, let hours = parts[0], let minutes = parts[1], let seconds = parts[2] else { return nil }
        let whole = hours * 3600 + minutes * 60 + seconds
        return whole.isFinite && whole > 0 ? whole : nil
    }

    /// The file offset where the last frame in an MP4's index ends; nil if the container has no such index.
    var indexEnd: Int64? {
        guard result.info.format.hasPrefix("mov") else { return nil }
        var end: Int64 = 0
        for number in 0..<avformat_index_get_entries_count(stream) {
            guard let entry = avformat_index_get_entry(stream, number) else { break }
            end = max(end, entry.pointee.pos.addingReportingOverflow(Int64(entry.pointee.size)).partialValue)
        }
        return end
    }
}
