/// One sealed file of an index.
///
/// `first` is the index of its first frame, `count` its number of frames, `bytes` the size of the file, `checksum` the
/// footer's XXH3-64 in hex.
public struct SegmentSummary: Sendable, Codable, Equatable {
    /// Name of the file.
    public let file: String
    /// Index of the first frame.
    public let first: Int
    /// Number of frames.
    public let count: Int
    /// Size of the file in bytes.
    public let bytes: Int
    /// The footer's checksum in hex.
    public let checksum: String
    /// Number of frames without a record of their own, which refer to an earlier frame's; nil if there are none.
    public let reused: Int?

    /// Number of frames with their own record.
    var records: Int { count - (reused ?? 0) }

    /// Creates a summary with these values.
    public init(file: String, first: Int, count: Int, bytes: Int, checksum: String, reused: Int? = nil) {
        self.file = file
        self.first = first
        self.count = count
        self.bytes = bytes
        self.checksum = checksum
        self.reused = reused
    }
}
