import Foundation
import Testing

/// Standard input, output and error that are closed or that nobody reads.
@Suite struct StreamTests {
    /// Every file of the cache and the catalogue.
    private func files(_ tool: Tool) -> [String] {
        ["cache", "data"].flatMap { folder in
            (FileManager.default.enumerator(atPath: tool.path(folder))?.compactMap { $0 as? String } ?? [])
                .map { tool.path(folder + "/" + $0) }
        }.filter { path in
            (try? FileManager.default.attributesOfItem(atPath: path))?[.type] as? FileAttributeType == .typeRegular
        }
    }

    /// Nothing that is said may land in a file.
    private func expectUntouched(_ tool: Tool) throws {
        let files = files(tool)
        #expect(!files.isEmpty)
        for path in files where !path.hasSuffix("CACHEDIR.TAG") {
            let data = try Data(contentsOf: URL(filePath: path))
            if path.hasSuffix("lock") { #expect(data.isEmpty, "\(path): \(String(decoding: data, as: UTF8.self))") }
            for word in ["message_type", "note:", "longtake:"] {
                #expect(data.range(of: Data(word.utf8)) == nil, "\(word) in \(path)")
            }
        }
    }

    @Test(arguments: ["2>&-", "0<&-", "0<&- 2>&-"])
    func `without standard error or input the work is done`(closed: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        for options in [["--json"], []] {
            let result = try Child(tool, shell: "exec \"$0\" index \"$@\" --force \(closed)", [video] + options).end()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.text.contains(options.isEmpty ? "12 frames" : "\"summary\""))
            try expectUntouched(tool)
        }
        let asked = try Child(
            tool, shell: "exec \"$0\" ask \"$@\" --max-tokens 1 --json \(closed)", [video, "What?"]
        ).end()
        #expect(asked.status == 0)
        #expect(try asked.object()["frames"] as? Int == 12)
        #expect(
            try Child(tool, shell: "exec \"$0\" cache verify --read-data \(closed)").end().status == 0)
        try expectUntouched(tool)
    }

    @Test(arguments: [">&-", "0<&- >&-", ">&- 2>&-", "0<&- >&- 2>&-"])
    func `without standard output it ends with an error`(closed: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        for command in ["index \"$@\" --json", "index \"$@\"", "ask \"$@\" What? --max-tokens 1", "ls --json"] {
            let result = try Child(tool, shell: "exec \"$0\" \(command) \(closed)", [video]).end()
            #expect(result.status == 13, "\(command): \(result.errors)")
            #expect(result.errors.contains("standard output") == !closed.contains("2>"), "\(result.errors)")
            try expectUntouched(tool)
        }
        try tool.verify()
        #expect(try tool.run("index", video, "--json").actions() == ["unchanged"])
        #expect(try Child(tool, shell: "exec \"$0\" --version \(closed)").end().status < 128)
    }

    @Test func `nobody reads what standard error says`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: try Fixtures.video.get(), toPath: tool.path("in/a.mp4"))
        try Data("no video".utf8).write(to: URL(filePath: tool.path("in/b.mkv")))
        for (path, options, status) in [
            ("in/a.mp4", ["--json"], Int32(0)), ("in", ["--json", "--force"], 3), ("in", ["--force"], 3),
        ] {
            let (process, output, errors) = try tool.start(["index", tool.path(path)] + options)
            try errors.fileHandleForReading.close()
            let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == status)
            #expect(said.contains(options.first == "--json" ? "\"summary\"" : "12 frames"), "\(said)")
        }
    }

    @Test func `who reads standard output goes away`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (process, output, _) = try tool.start(["index", try Fixtures.video.get(), "--json"])
        try output.fileHandleForReading.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 141)
        let full = try Child(tool, shell: "exec \"$0\" cache stats >/dev/full").end()
        #expect(full.status == 13)
        #expect(full.errors.contains("No space left"))
    }

    @Test func `a closed standard input has no recording`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try Child(tool, shell: "exec \"$0\" index - --json 0<&-").end()
        #expect(result.status == 14, "\(result.errors)")
        #expect(result.errors.contains("standard input"), "\(result.errors)")
    }
}
