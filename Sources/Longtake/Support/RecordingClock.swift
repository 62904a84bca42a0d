internal import Store

/// Converts between the two times of a recording: from its first picture, as indexes keep them, and on the file's time
/// line, as players show them and as people and programs get and give them.
public struct RecordingClock: Sendable, Equatable {
    /// Seconds from the start of the file's time line to the first picture.
    public let start: Double

    public init(start: Double = 0) { self.start = start.isFinite ? start : 0 }

    /// The file's time of a time from the first picture, to a millionth of a second.
    public func fileTime(_ time: Double) -> Double { Self.rounded(time + start) }

    /// The time from the first picture; below 0 before it.
    public func fromFirstFrame(_ fileTime: Double) -> Double { Self.rounded(fileTime - start) }

    /// 25.04 + 0.1 is 25.14.
    private static func rounded(_ seconds: Double) -> Double {
        let millionths = (seconds * 1e6).rounded()
        return abs(millionths) < 1e15 ? millionths / 1e6 : seconds
    }
}

extension Manifest {
    /// An index that does not know where its first picture lies counts from it.
    var clock: RecordingClock { RecordingClock(start: start ?? 0) }
}
