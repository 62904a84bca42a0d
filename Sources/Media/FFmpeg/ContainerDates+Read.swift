import CFFmpeg
import Glibc

extension ContainerDates {
    /// Returns the dates in the container's metadata, else those in the stream's; nil if there are none.
    static func read(_ demuxer: borrowing Demuxer, stream: Int) -> [String: String]? {
        var dates: [String: String] = [:]
        for tag in tags {
            let text =
                value(of: tag, in: demuxer.context.pointee.metadata)
                ?? value(of: tag, in: demuxer.stream(stream)?.pointee.metadata)
            if let text { dates[tag] = text }
        }
        return dates.isEmpty ? nil : dates
    }

    /// Returns a tag's text if it may be a date; its name is compared without case.
    private static func value(of tag: String, in metadata: OpaquePointer?) -> String? {
        guard let entry = av_dict_get(metadata, tag, nil, 0), let value = entry.pointee.value,
            strnlen(value, maxBytes + 1) <= maxBytes
        else { return nil }
        let text = String(cString: value)
        return isPlain(text) ? text : nil
    }
}
