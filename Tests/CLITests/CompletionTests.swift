import Foundation
import Testing

/// Completes command lines as bash does, with the script that the program generates.
@Suite struct CompletionTests {
    /// The completions of the last word of `line`.
    private func complete(_ line: [String], _ tool: Tool) throws -> [String] {
        let script = try tool.run("--generate-completion-script", "bash")
        try #require(script.status == 0)
        try script.output.write(to: URL(filePath: tool.path("completion.bash")))
        let words = ([Tool.executable.path] + line).map { "'\($0)'" }.joined(separator: " ")
        let text = """
            source completion.bash
            COMP_WORDS=(\(words)); COMP_CWORD=\(line.count); COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
            _longtake longtake "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let result = try Child(tool, program: "bash", ["-c", text]).end()
        #expect(result.errors.isEmpty, "\(result.errors)")
        return result.text.split(separator: "\n").map(String.init)
    }

    @Test(arguments: [
        (["ask", "a.mp4", "--fusion", ""], ["auto", "exact"]), (["index", "a.mp4", "--keep", "t"], ["tokens"]),
        (["index", "a.mp4", "--sampling", ""], ["grid", "reference", "keyframes"]),
        (["index", "a.mp4", "--reuse", ""], ["off", "exact", "auto"]),
        (["index", "a.mp4", "--prefix-cache", ""], ["auto", "now", "lazy", "never"]),
        (["run", "a.yaml", "--kv", ""], ["auto", "bf16", "int8"]),
        (["ask", "a.mp4", "--format", ""], ["text", "jsonl", "csv", "vtt"]),
        (["export", "a.mp4", "--format", "c"], ["csv", "chapters"]),
        (["ask", "a.mp4", "--precision", ""], ["auto", "f32", "bf16", "int8"]),
        (["model", "quantize", "m", "--vision", ""], ["int8", "keep"]),
        (["model", "quantize", "m", "--language", "i"], ["int8", "int4"]),
        (["frames", "a.mp4", "--size", ""], ["model", "native"]),
        (
            ["model", "make-random", "--shape", ""],
            ["llava-mini-8b", "llava-mini-7b", "llava-v1.5-7b", "nano", "llava-v1.5-nano"]
        ),
        (["model", "ins"], ["inspect"]),
        (["bench", "headline", "--shape", "n"], ["nano"]),
        (["model", "conv"], ["convert"]),
        (["model", "pu"], ["pull"]),
        (["bench", "prefill", "--shape", ""], ["full", "nano"]),
    ])
    func `values of options`(line: [String], expected: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        #expect(try complete(line, tool) == expected)
    }

    @Test func `indexed recordings and files`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        for folder in ["day", "other"] {
            try FileManager.default.createDirectory(atPath: tool.path(folder), withIntermediateDirectories: true)
        }
        // Nothing is created while completing.
        #expect(try complete(["show", "vid_"], tool).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: tool.path("cache")))
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("day/seen.mp4"))
        try Data().write(to: URL(filePath: tool.path("day/notes.txt")))
        let id = try tool.run("index", "day/seen.mp4", "--quiet").text.trimmingCharacters(in: .whitespacesAndNewlines)
        for command in ["ask", "show", "rm", "chat", "export"] {
            #expect(try complete([command, "vid_"], tool) == [id], "\(command)")
        }
        #expect(try complete(["search", "a star", "vid_"], tool) == [id])
        #expect(try complete(["show", "se"], tool) == ["seen.mp4"])
        #expect(try complete(["ask", "day"], tool) == ["day/"])
        #expect(try complete(["ask", "day/"], tool) == ["day/seen.mp4"])
        #expect(try complete(["show", "--cache-dir", tool.path("none"), "vid_"], tool).isEmpty)
    }
}
