/// The result of indexing one recording.
package struct IndexedRecording: Sendable, Codable {
    /// What was done.
    package enum Action: String, Sendable, Codable {
        /// The recording was indexed from its first frame.
        case new
        /// An earlier run's index was continued.
        case resumed
        /// A finished index existed.
        case unchanged
    }

    /// What was done.
    package let action: Action
    /// Recording ID.
    package let id: String
    /// Index ID.
    package let index: String
    /// Path of the recording.
    package let path: String
    /// Number of frames in the index.
    package let frames: Int
    /// Frames encoded by this run.
    package let framesNow: Int
    /// Duration of the indexed part in seconds.
    package let duration: Double?
    /// Size of the frame and patch files in bytes.
    package let bytes: Int64
    /// Size of the prefix cache in bytes.
    package var prefixCacheBytes: Int64 = 0
    /// Bytes of the prefix cache written by this run.
    package var prefixCacheBytesNow: Int64 = 0
    /// `complete` or `partial`.
    package let state: IndexState
    /// Notes about the recording.
    package let notes: [String]
    /// Counts of what happened while decoding, by name.
    package let counters: [String: Int]
    /// Seconds this took.
    package let seconds: Double

    /// True if the index does not cover the whole recording.
    package var isPartial: Bool { state == .partial }
}
