import Foundation
import Testing

/// What `export` refuses; `LongtakeTests` has what it writes.
@Suite struct ExportCommandTests {
    /// Times no recording has, in an answers file and in options, are said and never end the program.
    @Test func `impossible numbers are refused with a message`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let id = try #require(
            try tool.run("index", video, "--quiet").text.split(separator: "\n").first.map(String.init))
        func export(_ time: String, _ options: [String]) throws -> Tool.Result {
            let line =
                #"{"recording":"\#(id)","question":"Q","answer":"a","evidence":[{"start":\#(time),"end":\#(time),"score":1,"frame":0}]}"#
            return try tool.run(["export", id, "--answers", "-"] + options, input: Data((line + "\n").utf8))
        }
        for time in ["1e19", "1e308", "-1", "NaN", "Infinity", "1e999", "9223372036854775808"] {
            for format in ["edl", "chapters", "vtt", "srt", "otio", "csv", "jsonl"] {
                let result = try export(time, ["--format", format])
                #expect(
                    result.status == 64 && result.output.isEmpty, "\(time) \(format) \(result.status) \(result.text)")
                #expect(result.errors.hasPrefix("longtake: "), "\(result.errors)")
            }
        }
        #expect(try export("5", ["--format", "edl"]).text.contains(" 01:00:05:00 01:00:05:01 "))
        #expect(try export("5", ["--format", "edl", "--start", "10:00:00:24"]).text.contains(" 10:00:05:24 "))
        let starts = ["9e18", "1e308", "24h", "-1", "nan", "inf", "01:00:00:25", "01:00:00:99", "1:2:3:4:5", ""]
        for start in starts {
            let result = try export("5", ["--format", "edl", "--start=\(start)"])
            #expect(result.status == 64 && result.output.isEmpty, "\(start) \(result.status) \(result.text)")
        }
        for rate in ["0", "-25", "nan", "inf", "1e308", "25/0", "", "9223372036854775807", "0x19"] {
            let result = try export("5", ["--format", "edl", "--rate=\(rate)"])
            #expect(result.status == 64 && result.output.isEmpty, "\(rate) \(result.status) \(result.text)")
        }
        // A day has 24 hours of time codes.
        let late = try export("82800", ["--format", "edl"])
        #expect(late.status == 64 && late.errors.contains("24 hours"), "\(late.errors)")
        #expect(try export("82800", ["--format", "edl", "--start", "0"]).text.contains(" 23:00:00:00 "))
    }
}
