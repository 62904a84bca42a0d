internal import Store

/// Converts between seconds since a recording's first frame, seconds on the file's timeline, and times of day.
///
/// Indexes store the first; players, output and input use the second.
package struct RecordingClock: Sendable, Equatable {
    /// Seconds from the start of the file's timeline to the first frame.
    package let start: Double
    /// Shows file times as times of day; nil if the recording's start is unknown.
    package let wall: WallClock?

    /// Creates a clock; a start that is not finite is treated as 0.
    package init(start: Double = 0, wall: WallClock? = nil) {
        self.start = start.isFinite ? start : 0
        self.wall = wall
    }

    /// Converts seconds since the first frame to file time, rounded to 1 µs.
    package func fileTime(_ time: Double) -> Double { Self.rounded(time + start) }

    /// Converts file time to seconds since the first frame, rounded to 1 µs; negative before it.
    package func fromFirstFrame(_ fileTime: Double) -> Double { Self.rounded(fileTime - start) }

    /// The time of day at a file time, RFC 3339 with offset; nil if the recording's start is unknown.
    package func dayTime(_ fileTime: Double) -> String? { wall?.rfc3339(fileTime) }

    /// Rounds to 1 µs, so that 25.04 + 0.1 is 25.14.
    private static func rounded(_ seconds: Double) -> Double {
        let millionths = (seconds * 1e6).rounded()
        return abs(millionths) < 1e15 ? millionths / 1e6 : seconds
    }
}

extension Manifest {
    /// Converts this index's times; without a known start, the file's timeline starts at the first frame.
    var clock: RecordingClock { RecordingClock(start: start ?? 0, wall: origin?.start.map { WallClock($0) }) }
}
