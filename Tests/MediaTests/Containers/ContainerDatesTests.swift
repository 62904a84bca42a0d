import Foundation
import Media
import TestSupport
import Testing

/// The dates in a container's metadata reach the parent as text, and only what may be a date does.
@Suite struct ContainerDatesTests {
    /// The dates that probing reports of a file made with these tags.
    private func dates(_ name: String, _ tags: [String], options: [String] = []) throws -> [String: String]? {
        let directory = try FaultDirectory()
        let path = directory.file(name)
        let codec =
            switch (name as NSString).pathExtension {
            case "webm": "libvpx"
            case "mxf", "ts": "mpeg2video"
            default: "libx264"
            }
        try RealTool.ffmpeg(
            [
                "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4", "-c:v", codec, "-pix_fmt", "yuv420p",
            ] + options + tags.flatMap { ["-metadata", $0] } + [path])
        let file = try RecordingFile(path: Array(path.utf8))
        return try FrameStream.probe(file, request: FrameRequest(output: .native)).info.dates
    }

    @Test(arguments: ["mp4", "mov", "mkv", "webm", "flv"])
    func creationTime(_ suffix: String) throws {
        let found = try dates("a." + suffix, ["creation_time=2026-03-29T01:30:00+01:00"])
        #expect(found == ["creation_time": "2026-03-29T00:30:00.000000Z"])
    }

    @Test func appleCreationDateHasItsOffset() throws {
        let found = try dates(
            "a.mov", ["com.apple.quicktime.creationdate=2026-03-29T01:30:00+0200", "date=2026-03-29"],
            options: ["-movflags", "use_metadata_tags"])
        #expect(found?["com.apple.quicktime.creationdate"] == "2026-03-29T01:30:00+0200")
    }

    @Test func otherTags() throws {
        #expect(try dates("a.mkv", ["DATE_RECORDED=2026-03-29 01:30:00"]) == ["DATE_RECORDED": "2026-03-29 01:30:00"])
        #expect(try dates("a.mkv", ["date=2026-03-29T01:30:00"]) == ["date": "2026-03-29T01:30:00"])
        #expect(
            try dates("a.mxf", ["creation_time=2026-03-29T00:30:00Z"])?["modification_date"]
                == "2026-03-29T00:30:00.000000Z")
        #expect(try dates("a.mp4", ["title=2026-03-29T01:30:00"]) == nil)
        #expect(try dates("a.ts", []) == nil)
    }

    @Test func whatCannotBeADateIsLeftOut() throws {
        #expect(try dates("a.mkv", ["date=yesterday"]) == nil)
        #expect(try dates("a.mkv", ["date=2026-03-29T01:30:00\u{1B}[31m"]) == nil)
        #expect(try dates("a.mkv", ["date=" + String(repeating: "2", count: 5000)]) == nil)
        #expect(
            ContainerDates.sanitized(["creation_time": "2026", "title": "2026", "date": "é", "DATE_RECORDED": ""])
                == ["creation_time": "2026"])
    }
}
