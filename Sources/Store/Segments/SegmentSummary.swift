/// One sealed file of an index.
///
/// `first` is the index of its first frame, `count` its frames, `bytes` the size of the file, `checksum` the footer's
/// XXH3-64 in hex.
public struct SegmentSummary: Sendable, Codable, Equatable {
    public let file: String
    public let first: Int
    public let count: Int
    public let bytes: Int
    public let checksum: String

    public init(file: String, first: Int, count: Int, bytes: Int, checksum: String) {
        self.file = file
        self.first = first
        self.count = count
        self.bytes = bytes
        self.checksum = checksum
    }
}
