import Foundation
import Glibc
import Testing

@Suite struct InputOptionsTests {
    /// Three small recordings and a text: rec/a.mp4, rec/cam/b.mp4, rec/proxy/c.mp4.
    private func prepare(_ tool: Tool) throws {
        for (number, name) in ["rec/a.mp4", "rec/cam/b.mp4", "rec/proxy/c.mp4"].enumerated() {
            let path = tool.path(name)
            try FileManager.default.createDirectory(
                atPath: URL(filePath: path).deletingLastPathComponent().path, withIntermediateDirectories: true)
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=2:duration=\(number + 2)", "-c:v", "mpeg4", path)
        }
        try FileManager.default.createDirectory(atPath: tool.path("empty"), withIntermediateDirectories: true)
    }

    private func planned(_ tool: Tool, _ arguments: [String], input: Data? = nil) throws -> Set<String> {
        let result = try tool.run(["index"] + arguments + ["--dry-run", "--json"], input: input)
        #expect(result.status == 0, "\(result.errors)")
        return Set(
            try result.lines().compactMap {
                ($0["path"] as? String)?.replacingOccurrences(of: tool.folder.path + "/", with: "")
            })
    }

    @Test func `patterns leave out names and paths`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let all: Set = ["rec/a.mp4", "rec/cam/b.mp4", "rec/proxy/c.mp4"]
        let cases: [([String], Set<String>)] = [
            ([], all), (["a.*"], all.subtracting(["rec/a.mp4"])), (["proxy/"], all.subtracting(["rec/proxy/c.mp4"])),
            (["proxy"], all.subtracting(["rec/proxy/c.mp4"])), (["cam/*.mp4"], all.subtracting(["rec/cam/b.mp4"])),
            (["*.mp4/"], all), (["**/b.mp4"], all.subtracting(["rec/cam/b.mp4"])),
            (["**/a.mp4"], all.subtracting(["rec/a.mp4"])), (["/a.mp4"], all.subtracting(["rec/a.mp4"])),
            (["/b.mp4"], all), (["rec"], all), (["[ab].mp4", "proxy"], []),
            (["cam/**"], all.subtracting(["rec/cam/b.mp4"])), (["cam/**/b.mp4"], all.subtracting(["rec/cam/b.mp4"])),
            (["**/cam/*.mp4"], all.subtracting(["rec/cam/b.mp4"])), (["*/b.mp4/**"], all), (["**"], []), (["*"], []),
            (["*/*/b.mp4"], all), (["./a.mp4"], all.subtracting(["rec/a.mp4"])), ([""], all), (["["], all),
            (["**/proxy/"], all.subtracting(["rec/proxy/c.mp4"])),
            (["**/*/**/c.mp4"], all.subtracting(["rec/proxy/c.mp4"])),
            (["**/**/**"], []), (["cam/**/**"], all.subtracting(["rec/cam/b.mp4"])), (["**/b.mp4/**"], all),
        ]
        for (patterns, files) in cases {
            #expect(try planned(tool, ["rec"] + patterns.flatMap { ["--exclude", $0] }) == files, "\(patterns)")
        }
        tool.environment["LONGTAKE_EXCLUDE"] = "a.mp4\nproxy"
        #expect(try planned(tool, ["rec"]) == ["rec/cam/b.mp4"])
        #expect(try planned(tool, ["rec", "--exclude", "cam"]) == all.subtracting(["rec/cam/b.mp4"]))
    }

    /// Each `**` may stand for any number of folders: not each combination is tried.
    @Test func `a pattern of many stars ends`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let deep = "rec/" + Array(repeating: "a", count: 50).joined(separator: "/")
        try FileManager.default.createDirectory(atPath: tool.path(deep), withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(filePath: tool.path(deep + "/v.mp4")))
        let stars = Array(repeating: "**/a", count: 25).joined(separator: "/")
        for (pattern, isOut) in [(stars + "/b", false), (stars + "/**/v.mp4", true)] {
            let result = try Child(tool, "index", "rec", "--dry-run", "--json", "--exclude", pattern).end(limit: 120)
            #expect((result.status == 0) == isOut, "\(pattern): \(result.errors)")
        }
        let back = try tool.run("index", "rec", "--dry-run", "--exclude", "!a")
        #expect(back.status == 64 && back.errors.contains("!a"), "\(back.errors)")
    }

    @Test func `lists of files, by lines and by NUL, from a file and from standard input`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        // Bytes that are not UTF-8, and a line break in a name.
        let odd = [UInt8]("rec/x".utf8) + [0xFF, 0x0A] + [UInt8]("y.mp4".utf8)
        let source = try Data(contentsOf: URL(filePath: tool.path("rec/cam/b.mp4")))
        let target = [UInt8]((tool.folder.path + "/").utf8) + odd
        let descriptor = target.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { name in
            let copy = Array(name) + [0]
            return open(copy, O_WRONLY | O_CREAT, 0o600)
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: source)
        try handle.close()
        try Data("rec/a.mp4\n\nrec/cam\r\n".utf8).write(to: URL(filePath: tool.path("list")))
        #expect(try planned(tool, ["--files-from", "list"]) == ["rec/a.mp4", "rec/cam/b.mp4"])
        #expect(try planned(tool, ["--files-from", "-"], input: Data("rec/a.mp4".utf8)) == ["rec/a.mp4"])
        let byNUL = try tool.run(
            "index", "--files-from0", "-", "--json", input: Data(odd + [0] + Array("rec/a.mp4".utf8) + [0]))
        #expect(byNUL.status == 0, "\(byNUL.errors)")
        #expect(try byNUL.lines().last?["files_new"] as? Int == 2)
        #expect(try tool.run("index", "--files-from", "nosuch").status == 14)
        #expect(try tool.run("index").status == 64)
        #expect(try tool.run("index", "-", "--files-from", "-").status == 64)
        let asked = try tool.run("ask", "--files-from", "list", "What is seen?", "--max-tokens", "2", "--json")
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(try asked.lines().count == 3, "two answers and a ranking")
    }

    @Test func `an empty folder is said, and too few files are a failure`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        for arguments in [["index", "empty"], ["index", "empty", "--quiet"], ["index", "empty", "rec", "--json"]] {
            let result = try tool.run(arguments)
            #expect(result.status == 0)
            #expect(result.errors.contains("no recordings in this folder"), "\(arguments): \(result.errors)")
            #expect(result.errors.contains("mkv mov mp4"))
        }
        try Data("version: 1\ninputs: [empty, rec]\n".utf8).write(to: URL(filePath: tool.path("p.yaml")))
        #expect(try tool.run("run", "p.yaml").errors.contains("no recordings in this folder"))
        for arguments in [["index", "rec"], ["run", "p.yaml"], ["ask", "rec", "What is seen?", "--max-tokens", "2"]] {
            #expect(try tool.run(arguments + ["--require", "3"]).status == 0)
            let few = try tool.run(arguments + ["--require", "4", "--json"])
            #expect(few.status == 14 && few.output.isEmpty)
            #expect(try few.exitError()["error"] as? String == "too_few_files")
        }
        tool.environment["LONGTAKE_REQUIRE"] = "1"
        #expect(try tool.run("index", "empty").status == 14)
        #expect(try tool.run("index", "nosuchfolder").status == 14)
        // A file that is not there does not count.
        let some = try tool.run("index", "rec/a.mp4", "nosuch.mp4", "--require", "2", "--json")
        #expect(some.status == 14 && some.output.isEmpty)
        #expect(try some.exitError()["error"] as? String == "too_few_files")
        #expect(try tool.run("index", "rec", "--require", "4", "--dry-run").status == 14)
        #expect(try tool.run("index", "empty", "--require", "0").status == 0)
    }

    @Test func `comments and empty lines are not questions`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try Data("# doors\n\nWho comes in?\n#What?\n # What?\n".utf8).write(to: URL(filePath: tool.path("q")))
        let asked = try tool.run("ask", video, "--questions", "q", "--max-tokens", "2", "--json").lines()
        #expect(asked.map { $0["question"] as? String } == ["Who comes in?", " # What?"])
        try Data("# nothing\n\n".utf8).write(to: URL(filePath: tool.path("none")))
        #expect(try tool.run("ask", video, "--questions", "none").status == 64)
    }
}
