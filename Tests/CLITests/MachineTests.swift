import Foundation
import Testing

/// Machines with little memory or an old CPU.
@Suite struct MachineTests {
    @Test func `a question that needs more memory than it may take is refused with both numbers`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        for arguments in [["ask", video, "What is it?", "--memory", "1K"], ["ask", video, "What is it?", "--json"]] {
            var limited = tool
            if !arguments.contains("--memory") { limited.environment["LONGTAKE_MEMORY"] = "1K" }
            let refused = try limited.run(arguments)
            #expect(refused.status == 13, "\(refused.text) \(refused.errors)")
            #expect(
                refused.errors.contains("the limit is 1024 (raise it with --memory, or shorten the range"),
                "\(refused.errors)")
            let needed = refused.errors.split(separator: " ").compactMap { Int($0) }.first { $0 > 1024 }
            #expect(needed != nil, "\(refused.errors)")
            if arguments.contains("--json") {
                #expect(try refused.exitError()["error"] as? String == "not_enough_memory")
            }
        }
        // The index was made all the same.
        #expect(try tool.run("ask", video, "What is it?", "--memory", "1G", "--max-tokens", "4").status == 0)
        for word in ["0", "80%", "much"] {
            #expect(try tool.run("ask", video, "What is it?", "--memory", word).status == 64, "\(word)")
        }
    }

    @Test func `without FFmpeg's libraries what is indexed is asked, and a recording says what to install`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try #require(tool.run("index", video, "--quiet").status == 0)
        let id = try #require(tool.run("ls", "-q").text.split(separator: "\n").first.map(String.init))
        // The dynamic linker takes the first file of that name, even one that is no library.
        for version in 50...70 {
            try Data().write(to: tool.folder.appending(path: "libavutil.so.\(version)"))
        }
        tool.environment["LD_LIBRARY_PATH"] = tool.folder.path
        let answer = try tool.run("ask", id, "What is it?", "--max-tokens", "4")
        #expect(answer.status == 0, "\(answer.errors)")
        for arguments in [["index", video, "--force"], ["ask", "--image", video, "What is it?"]] {
            let refused = try tool.run(arguments)
            #expect(refused.status == 1, "\(refused.text) \(refused.errors)")
            #expect(
                refused.errors.contains("libavutil.so") && refused.errors.contains("apt-get install ffmpeg"),
                "\(refused.errors)")
        }
        #expect(try tool.run("doctor").text.contains("apt-get install ffmpeg"))
        // The index is still there.
        #expect(try tool.run("ls", "-q").text.contains(id))
    }

    private static let hasDisassembler = FileManager.default.isExecutableFile(atPath: "/usr/bin/objdump")

    /// What the compiler was not told to use it must not use: an older CPU would end the program.
    @Test(.enabled(if: hasDisassembler, "objdump is not installed")) func `wide instructions are in the kernels alone`()
        throws
    {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let script = BundledModelTests.repository + "/scripts/check-instructions"
        let result = try tool.shell(
            "exec \"$1\" \"$2\"", [script, Tool.executable.deletingLastPathComponent().path])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.text.hasPrefix("instructions: "))
    }
}
