/// The tags of a container that may state when a recording was made.
///
/// They are handed on as text: what a date means, and whether it is plausible, is not the decoder's business.
public enum ContainerDates {
    /// Apple's tag: local time with its offset, written when the recording starts.
    public static let apple = "com.apple.quicktime.creationdate"
    /// The creation time in the headers of MP4, QuickTime and Matroska; by the formats in UTC.
    public static let creation = "creation_time"
    /// The time a writer of MXF states for its file.
    public static let modification = "modification_date"

    /// libavformat's names of the tags, the most reliable first.
    public static let tags = [apple, "DATE_RECORDED", creation, "date", modification]

    /// Longest date that is kept, in bytes; RFC 3339 with nanoseconds and an offset has 35.
    static let maxBytes = 40

    /// A copy without unknown tags and without text that cannot be a date.
    package static func sanitized(_ dates: [String: String]) -> [String: String] {
        dates.filter { tags.contains($0.key) && isPlain($0.value) }
    }

    /// True for short printable ASCII that begins with a digit.
    static func isPlain(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.count <= maxBytes, let first = bytes.first, (0x30...0x39).contains(first) else { return false }
        return bytes.allSatisfy { (0x20..<0x7F).contains($0) }
    }
}
