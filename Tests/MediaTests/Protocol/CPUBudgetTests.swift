import Foundation
import Media
import Testing

/// What a recording may cost in CPU time.
@Suite struct CPUBudgetTests {
    /// 20 s in 640×360 at 30 frames per second.
    private func recording(_ folder: FaultDirectory) throws -> RecordingFile {
        let path = try folder.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=20", "-c:v", "libx264", "-preset", "ultrafast",
            "a.mp4")
        return try RecordingFile(path: Array(path.utf8))
    }

    private func request(start: Double) -> FrameRequest {
        var request = FrameRequest(output: .native)
        request.framesPerSecond = 30
        var rates = CPUBudget.Rates()
        rates.start = start
        (rates.perMegabyte, rates.perSecond, rates.perMegapixel, rates.perFrame, rates.perFrameMegapixel) = (
            0, 0, 0, 0, 0
        )
        request.cpuRates = rates
        return request
    }

    @Test func `a recording that costs more than it may ends with what there is, and a note`() throws {
        let folder = try FaultDirectory()
        let file = try recording(folder)
        // Starting takes a tenth of a second of CPU time, all pictures some seconds.
        let stream = try FrameStream(file, request: request(start: 0.6))
        var frame = Frame()
        var frames = 0
        while try stream.next(into: &frame) { frames += 1 }
        #expect(frames > 0 && frames < 600, "\(frames)")
        #expect(stream.result.status == .partial)
        #expect(stream.result.notes.map(\.code).contains("too_slow_to_decode"), "\(stream.result.notes)")
    }

    @Test func `one that costs too much before its first frame is refused`() throws {
        let folder = try FaultDirectory()
        let file = try recording(folder)
        let stream = try FrameStream(file, request: request(start: 0))
        var frame = Frame()
        let error = #expect(throws: MediaError.self) { while try stream.next(into: &frame) {} }
        #expect(error?.code == .tooSlowToDecode)
    }

    @Test func `what is allowed grows with what came, and not with what a small file says`() {
        var info = RecordingInfo()
        (info.width, info.height, info.framesPerSecond) = (8192, 4320, 60)
        let request = FrameRequest(output: .native)
        let small = CPUBudget(request, fileSize: 50_000)
        // 104 s of CPU time per second, and 36 s per sampled frame in debug builds; 10,000 pictures in one second get no more.
        #expect(small.allowed(frames: 1, read: 1 << 60, info: info) < 500)
        #expect(small.allowed(frames: 10, read: 0, info: info) > 10 * 100)
        info.framesPerSecond = 1e6
        #expect(small.allowed(frames: 1, read: 0, info: info) < 500)
        // What goes on at frame 1000 decodes those before once more.
        var later = request
        later.firstIndex = 1000
        #expect(CPUBudget(later, fileSize: 50_000).allowed(frames: 0, read: 0, info: info) > 100_000)
    }
}
