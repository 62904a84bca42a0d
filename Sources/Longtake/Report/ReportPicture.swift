internal import Foundation

/// An image of a frame in a report.
package struct ReportPicture: Sendable, Encodable {
    /// Frame number in the index, from 0.
    package let frame: Int
    /// Seconds on the file's timeline.
    package let time: Double
    /// Size in pixels.
    package let width: Int
    package let height: Int
    /// A JPEG image as a data URI; not in the JSON.
    let source: String

    /// An image of a frame, already encoded.
    init(frame: Int, time: Double, width: Int, height: Int, jpeg: [UInt8]) {
        (self.frame, self.time, self.width, self.height) = (frame, time, width, height)
        source = "data:image/jpeg;base64," + Data(jpeg).base64EncodedString()
    }

    private enum CodingKeys: String, CodingKey { case frame, time, width, height }
}
