/// Everything that changes the bytes of an index.
///
/// `content` is the recording's SHA-256 in hex; the other texts are the caller's own canonical spelling of sampling,
/// preprocessing, model and record. Two equal keys mean exchangeable indexes.
public struct IndexKey: Sendable, Codable, Equatable {
    /// The version of the segment and manifest files that this program writes, and the newest it reads.
    public static let currentFormatVersion = 2

    public var content: String
    public var stream: Int
    public var sampling: String
    public var preprocessing: String
    public var model: String
    public var record: String
    public var formatVersion: Int

    public init(
        content: String, stream: Int, sampling: String, preprocessing: String, model: String, record: String,
        formatVersion: Int = IndexKey.currentFormatVersion
    ) {
        self.content = content
        self.stream = stream
        self.sampling = sampling
        self.preprocessing = preprocessing
        self.model = model
        self.record = record
        self.formatVersion = formatVersion
    }

    /// 32 hexadecimal digits: the first half of the SHA-256 over all fields, each preceded by its length.
    ///
    /// The order is the one of the declaration; a length is a little-endian u64, a number is its decimal text.
    public var id: String {
        var bytes: [UInt8] = []
        let fields = [content, String(stream), sampling, preprocessing, model, record, String(formatVersion)]
        for field in fields {
            let text = Array(field.utf8)
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: UInt64(text.count) >> (8 * UInt64(shift)))) }
            bytes += text
        }
        return String(ContentHash.sha256(bytes).prefix(32))
    }

    package static func isID(_ text: String) -> Bool {
        text.utf8.count == 32 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
