/// The result of decoding a recording, complete once its frames have ended.
public struct DecodeResult: Sendable, Codable, Equatable {
    /// Whether all of the recording was decoded.
    public enum Status: String, Sendable, Codable {
        /// All of it was decoded.
        case complete
        /// Something is missing.
        case partial
    }

    /// Metadata of the container and the video stream.
    public var info = RecordingInfo()
    /// `partial` if something is missing; `notes` say what.
    public var status = Status.complete
    /// Counters of the work done.
    public var counters = DecodeCounters()
    /// Notes for the user; at most 64, one per code.
    public var notes: [MediaNote] = []
    /// Seconds covered, up to the end of the last presented frame.
    public var coveredSeconds = 0.0
    /// The time of each stage, if it was requested.
    package var stages: DecodeStages?

    /// Creates an empty result.
    public init() {}

    mutating func note(_ code: String, _ message: String) {
        guard !notes.contains(where: { $0.code == code }), notes.count < 64 else { return }
        notes.append(MediaNote(code: code, message: message))
    }

    enum CodingKeys: String, CodingKey {
        case info, status, counters, notes, stages
        case coveredSeconds = "covered_seconds"
    }
}

extension DecodeResult {
    /// A copy without impossible values.
    var sanitized: DecodeResult {
        var result = self
        result.info = info.sanitized
        if !(coveredSeconds >= 0 && coveredSeconds < 1e12) { result.coveredSeconds = 0 }
        return result
    }
}
