/// The part of a recording to copy into a clip, without decoding it.
package struct ClipRequest: Sendable, Codable, Equatable {
    /// A frame of the index, which ties the file's timestamps to the recording's times.
    package struct Anchor: Sendable, Codable, Equatable {
        /// Presentation time in the video stream's time base.
        package var pts: Int64
        /// The same in seconds from the first frame.
        package var seconds: Double

        /// Creates an anchor.
        package init(pts: Int64, seconds: Double) { (self.pts, self.seconds) = (pts, seconds) }
    }

    /// Ties timestamps to times.
    package var anchor: Anchor
    /// The clip starts at the key frame at or before this time, in seconds from the first frame.
    package var start: Double
    /// The clip ends before the first key frame at or after this time.
    package var end: Double
    /// Seconds since 1970 of the first frame, for the clip's own metadata; nil if unknown.
    package var recorded: Double?
    /// Largest size of the clip in bytes.
    package var maxBytes: Int64

    /// Creates a request.
    package init(anchor: Anchor, start: Double, end: Double, recorded: Double? = nil, maxBytes: Int64) {
        self.anchor = anchor
        (self.start, self.end) = (start, end)
        self.recorded = recorded
        self.maxBytes = maxBytes
    }
}
