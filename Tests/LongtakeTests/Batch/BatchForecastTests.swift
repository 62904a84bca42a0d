import Longtake
import Testing

/// The time left for all files of a run, from what is done of them.
@Suite struct BatchForecastTests {
    private let a = InputPath("/a")
    private let b = InputPath("/b")
    private let c = InputPath("/c")

    /// While 100 of the 200 frames of `a` took 50 s.
    private func left(_ forecast: BatchForecast, of total: Int? = 200) -> Double? {
        forecast.secondsLeft(a, frames: 100, of: total, framesNow: 100, seconds: 50)
    }

    @Test func `frames that are known take as long as those that are done`() {
        var forecast = BatchForecast()
        forecast.expect(a, bytes: 0, frames: 200)
        forecast.expect(b, bytes: 0, frames: 300)
        #expect(left(forecast) == (100 + 300) * 0.5)
        forecast.remove(b)
        #expect(left(forecast) == 100 * 0.5)
        // Frames of earlier runs took none of this run's time.
        #expect(forecast.secondsLeft(a, frames: 150, of: 200, framesNow: 50, seconds: 50) == 50)
    }

    @Test func `frames that are not known are estimated from bytes`() {
        var forecast = BatchForecast()
        forecast.expect(a, bytes: 1000)
        forecast.expect(b, bytes: 3000)
        // 200 frames in 1000 bytes, so 600 in 3000.
        #expect(left(forecast) == (100 + 600) * 0.5)
        // One whose frames become known: 200 and 50 frames in 4000 bytes tell nothing about it.
        forecast.expect(b, frames: 50)
        #expect(left(forecast) == (100 + 50) * 0.5)
        forecast.expect(c, bytes: 500)
        #expect(left(forecast) == (100 + 50 + 100) * 0.5)
        forecast.expect(b, frames: nil)
        #expect(left(forecast) == (100 + 50 + 100) * 0.5)
    }

    @Test func `the file that is encoded may be of unknown length`() {
        var forecast = BatchForecast()
        forecast.expect(a, bytes: 1000)
        forecast.expect(b, bytes: 500)
        #expect(left(forecast, of: nil) == nil)
        forecast.know(frames: 400, bytes: 2000)
        #expect(left(forecast, of: nil) == (100 + 100) * 0.5)
        // It is longer than its size told; the others are as long as before.
        #expect(forecast.secondsLeft(a, frames: 900, of: nil, framesNow: 900, seconds: 450) == 100 * 0.5)
        // A stream has no size.
        forecast.expect(a, bytes: 0)
        #expect(left(forecast, of: nil) == nil)
    }

    @Test func `files that are done give the rate, an earlier run before them`() {
        var forecast = BatchForecast(secondsPerFrame: 2)
        forecast.expect(a, bytes: 1000)
        forecast.expect(b, bytes: 1000)
        forecast.expect(c, bytes: 1000, frames: 100)
        #expect(forecast.secondsLeft(a, frames: 0, of: 100, framesNow: 0, seconds: 1) == 300 * 2.0)
        #expect(BatchForecast().secondsLeft(a, frames: 0, of: 100, framesNow: 0, seconds: 1) == nil)
        // 30 s, of which some were for questions.
        forecast.finish(a, frames: 100, framesNow: 100, seconds: 30)
        #expect(forecast.secondsLeft(b, frames: 50, of: 100, framesNow: 50, seconds: 15) == (50 + 100) * 0.3)
        // An index that was there took no time, but tells frames per byte.
        forecast.finish(b, frames: 400, framesNow: 0, seconds: 9)
        forecast.expect(b, bytes: 1000)
        #expect(forecast.secondsLeft(c, frames: 0, of: 100, framesNow: 0, seconds: 0) == (100 + 200) * 0.3)
    }
}
