import Foundation
import Testing

/// `ulimit -f`: a write beyond it is an error like a full disk's, never the end of the process.
@Suite struct FileSizeTests {
    /// In blocks of 512 bytes: nothing at all, less than a catalogue, less than a segment, less than a recording's spool.
    private static let limits = [0, 8, 64, 512]

    private func limited(_ tool: Tool, _ blocks: Int, _ arguments: [String], input: String? = nil) throws -> Tool.Result
    {
        let handle = try input.map { try #require(FileHandle(forReadingAtPath: $0)) }
        let result = try tool.shell(
            "ulimit -f \(blocks); exec \"$TOOL\" \"$@\"", arguments + ["--json"], input: handle)
        #expect([0, 13].contains(result.status), "\(blocks): \(arguments): \(result.status) \(result.errors)")
        if result.status == 13 { #expect(result.errors.contains("exit_error"), "\(blocks): \(result.errors)") }
        return result
    }

    @Test(arguments: limits) func `a limit is met with a message`(blocks: Int) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let made = try limited(tool, blocks, ["index", video, "--fps", "60"])
        if blocks < 512 { #expect(made.status == 13) }
        let asked = try limited(tool, blocks, ["ask", video, "What is it?", "--max-tokens", "4"])
        if blocks < 512 { #expect(asked.status == 13) }
        let piped = try limited(tool, blocks, ["index", "-", "--fps", "2"], input: video)
        if blocks < 512 { #expect(piped.status == 13) }
        #expect(!tool.files(below: "cache").contains { $0.hasSuffix(".tmp") }, "\(tool.files(below: "cache"))")
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        // Without the limit the next run finishes what is missing.
        #expect(try tool.run("index", video, "--fps", "60").status == 0)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
    }

    @Test(arguments: limits) func `what is indexed already is whole afterwards`(blocks: Int) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try #require(try tool.run("index", video, "--prefix-cache", "never").status == 0)
        let before = tool.files(below: "cache/indexes")
        let id = try #require(try tool.run("ls", "--json").list().first?["index"] as? String)
        let files = try indexFiles(tool.path("cache/indexes/" + id))
        _ = try limited(tool, blocks, ["ask", video, "What is it?", "--max-tokens", "4"])
        _ = try limited(tool, blocks, ["index", video, "--force"])
        #expect(try indexFiles(tool.path("cache/indexes/" + id)) == files || blocks == 512)
        #expect(tool.files(below: "cache/indexes").filter { !$0.hasSuffix(".asked") } == before)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
    }

    @Test func `standard output that is a file of limited size is told`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.shell("ulimit -f 1; exec \"$TOOL\" help ask >out")
        #expect(result.status != 256 + 25)
        let json = try tool.shell("ulimit -f 0; exec \"$TOOL\" ls --json >out")
        #expect(json.status == 13)
    }
}
