import Foundation
import Testing

@Suite struct StatusSignalTests {
    private func long(_ tool: Tool) throws -> String {
        let path = tool.path("long.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=2:duration=1800", "-c:v", "mpeg4", "-g", "20", path)
        return path
    }

    @Test func `SIGUSR1 prints a line of status, and a stopped run says what it kept`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (process, output, errors) = try tool.start(["index", long(tool), "--json"])
        try Child.waitForStatusSignal(process)
        let reading = errors.fileHandleForReading
        var text = ""
        // Asked again and again: the line with frames comes when there are some.
        let end = Date(timeIntervalSinceNow: 120)
        while !text.contains("frames/s"), process.isRunning, Date() < end {
            kill(process.processIdentifier, SIGUSR1)
            text += String(decoding: reading.availableData, as: UTF8.self)
        }
        #expect(text.contains("longtake: status: "), "\(text)")
        #expect(text.contains("frames/s"), "\(text)")
        kill(process.processIdentifier, SIGINT)
        let out = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        let lines = try out.split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
        let stopped = try #require(lines.first { $0["action"] as? String == "stopped" })
        #expect((stopped["id"] as? String)?.hasPrefix("vid_") == true)
        #expect((stopped["frames"] as? Int ?? 0) > 0)
        let summary = try #require(lines.last)
        #expect(summary["message_type"] as? String == "summary")
        #expect(summary["stopped"] as? String == "interrupted")
    }

    @Test func `SIGUSR1 never ends a command that is idle`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let input = Pipe()
        let (process, _, _) = try tool.start(
            ["model", "tokenize", Fixtures.model.get()], input: input.fileHandleForReading)
        try input.fileHandleForWriting.write(contentsOf: Data("\"a\"\n".utf8))
        try Child.waitForStatusSignal(process)
        for _ in 0..<20 {
            kill(process.processIdentifier, SIGUSR1)
            usleep(20_000)
        }
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }
}
