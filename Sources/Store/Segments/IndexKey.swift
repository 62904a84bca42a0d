/// Everything that determines the bytes of an index; indexes with equal keys are interchangeable.
///
/// `content` is the recording's SHA-256 in hex; the other strings are the caller's canonical text for sampling,
/// preprocessing, model and record.
public struct IndexKey: Sendable, Codable, Equatable {
    /// Format version of an index in which every frame has its own record.
    public static let currentFormatVersion = 2
    /// Format version of an index in which frames may refer to the record of an earlier frame.
    public static let referenceFormatVersion = 3
    /// The format versions of segment and manifest files that this program reads and writes.
    public static let knownFormatVersions = currentFormatVersion...referenceFormatVersion
    /// The newest format version that this program reads.
    public static var newestFormatVersion: Int { knownFormatVersions.upperBound }

    /// SHA-256 of the recording's file, in hex.
    public var content: String
    /// Index of the video stream in the container; the caller uses -1 for the default stream.
    public var stream: Int
    /// How frames are sampled.
    public var sampling: String
    /// How frames are preprocessed.
    public var preprocessing: String
    /// Which model computed the records.
    public var model: String
    /// What a record contains.
    public var record: String
    /// Format version of the files.
    public var formatVersion: Int

    /// Creates a key with these fields.
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
    /// Fields are in the order of their declaration; a length is a little-endian u64, an integer is its decimal text.
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

    /// True if frames may refer to the record of an earlier frame.
    public var allowsReferences: Bool { formatVersion >= IndexKey.referenceFormatVersion }

    /// Returns true if `text` is an index ID: 32 lowercase hexadecimal digits.
    package static func isID(_ text: String) -> Bool {
        text.utf8.count == 32 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
