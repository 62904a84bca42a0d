import Foundation
import Testing

import Media

/// F24: a day and a month are only large numbers.
@Suite struct FaultsLengthTests {
    /// Milliseconds overflow 32 bits after 24.8 days.
    @Test func thirtyDaysKeepTheirTimes() throws {
        let directory = try FaultDirectory()
        let path = try directory.ffmpeg(
            "-f", "lavfi", "-i", "color=gray:s=16x16:r=1/3600:d=2592000", "-c:v", "mpeg4", "-g", "1", "month.mkv")
        let outcome = try decode(path) {
            $0.framesPerSecond = 1.0 / 1800
            $0.maxDuration = 40 * 86_400
        }
        #expect(outcome.error == nil)
        #expect(outcome.frames.count == 1440)
        #expect(outcome.result.status == .complete, "\(outcome.result)")
        #expect(abs((outcome.frames.last?.gridTime ?? 0) - 1439 * 1800) < 1e-6)
        #expect(outcome.frames.last?.ptsSeconds == 2_588_400.0)
        #expect(outcome.result.coveredSeconds == 2_592_000)
        #expect(zip(outcome.frames, outcome.frames.dropFirst()).allSatisfy { $0.index + 1 == $1.index })
    }

    @Test func theLongestRecordingIsADayUnlessMoreIsAllowed() throws {
        let directory = try FaultDirectory()
        let path = try directory.ffmpeg(
            "-f", "lavfi", "-i", "color=gray:s=16x16:r=1/60:d=90000", "-c:v", "mpeg4", "-g", "1", "long.mkv")
        let outcome = try decode(path) { $0.framesPerSecond = 1.0 / 600 }
        #expect(outcome.frames.count == 144)
        #expect(outcome.result.status == .partial)
        #expect(outcome.result.notes.contains { $0.code == "max_duration" })
    }
}
