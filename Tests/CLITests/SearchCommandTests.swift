import Foundation
import Testing

/// `longtake search` with the bundled model over recordings of its world.
@Suite struct SearchCommandTests {
    static let model = BundledModelTests.repository + "/Models/nano"
    static let recordings = ["test-1003600.mp4", "test-1004990.webm"].map { BundledModelTests.folder + $0 }
    static let text = "a red star on the right, the board is empty, at night"

    private func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = Self.model
        return tool
    }

    @Test func `moments come as lines and as one document`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let indexed = try tool.run(["index", "--quiet"] + Self.recordings)
        #expect(indexed.status == 0, "\(indexed.errors)")
        let result = try tool.run("search", Self.text)
        #expect(result.status == 0, "\(result.errors)")
        let line = try #require(result.text.split(separator: "\n").first)
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        #expect(fields.count == 4)
        #expect(
            line.range(
                of: #"^00:00:0\d–00:00:0\d  0\.\d\d  test-1003600\.mp4  vid_[0-9a-f]{16}$"#, options: .regularExpression
            ) != nil)
        #expect(result.errors.contains("67 frames of 2 recordings"))
        #expect(try tool.run("search", Self.text, "--quiet").errors.isEmpty)

        let document = try tool.run("search", Self.text, "--json").object()
        for key in [
            "query", "model", "moments", "threshold", "best", "mean", "frames", "recordings", "notes", "failed",
            "timings",
        ] {
            #expect(document[key] != nil, "\(key)")
        }
        #expect(document["frames"] as? Int == 67 && document["recordings"] as? Int == 2)
        #expect(document["query"] as? String == Self.text && document["model"] as? String == "nano")
        let moments = try #require(document["moments"] as? [[String: Any]])
        let first = try #require(moments.first)
        let best = try #require(first["best"] as? Double)
        #expect(best >= 1.7 && best < 7.7)
        #expect(first["frame"] as? Int == Int(best) && first["score"] as? Double == document["best"] as? Double)
        let recording = try #require(first["recording"] as? [String: Any])
        #expect(
            recording["name"] as? String == "test-1003600.mp4" && recording["path"] as? String == Self.recordings[0])
        #expect(moments.count == result.text.split(separator: "\n").count)

        // Named in every way there is.
        let id = try #require(recording["id"] as? String)
        for name in [id, String(id.prefix(10)), Self.recordings[0], recording["index"] as? String ?? ""] {
            let named = try tool.run("search", Self.text, name, "--json").object()
            #expect(named["recordings"] as? Int == 1 && named["frames"] as? Int == 30, "\(name)")
        }
        let folder = try tool.run("search", Self.text, BundledModelTests.folder, "--json").object()
        #expect(folder["recordings"] as? Int == 2)
        #expect((folder["notes"] as? [String])?.contains { $0.contains("1 file is not indexed") } == true)
        let limited = try tool.run(
            "search", Self.text, "--limit", "1", "--threshold=-1", "--from", "8", "--to", "0:10", "--json")
        let one = try limited.object()
        #expect((one["moments"] as? [[String: Any]])?.count == 1 && one["frames"] as? Int == 4)
        #expect(one["threshold"] as? Double == -1)

        let pictures = try tool.run("search", Self.text, "--limit", "2", "--thumbnails", tool.path("seen"), "--json")
            .object()
        let files = (pictures["moments"] as? [[String: Any]] ?? []).compactMap { $0["thumbnail"] as? String }
        #expect(files.count == (pictures["moments"] as? [Any])?.count && !files.isEmpty)
        for file in files + [pictures["contact_sheet"] as? String ?? ""] {
            #expect(try Data(contentsOf: URL(filePath: file)).starts(with: [0x89, 0x50, 0x4E, 0x47]), "\(file)")
        }
    }

    @Test func `nothing to search ends with its status`() throws {
        let tool = try tool()
        defer { tool.remove() }
        func expect(_ arguments: [String], _ status: Int32, _ words: String..., code: String) throws {
            let result = try tool.run(["search"] + arguments)
            #expect(result.status == status && result.text.isEmpty, "\(arguments): \(result.errors)")
            for word in words { #expect(result.errors.contains(word), "\(arguments): \(result.errors)") }
            let json = try tool.run(["search"] + arguments + ["--json"])
            #expect(json.status == status && json.output.isEmpty)
            #expect(try json.exitError()["error"] as? String == code, "\(json.errors)")
        }
        try expect(["a red star"], 10, "longtake index", code: "unknown_recording")
        try expect(["a red star", Self.recordings[0]], 10, "not indexed", code: "unknown_recording")
        try expect(["a red star", "vid_0000000000000000"], 10, "vid_0000000000000000", code: "unknown_recording")
        try expect([], 64, code: "usage")
        try expect([""], 64, "no text to search for", code: "usage")
        try expect([" \n"], 64, "no text to search for", code: "usage")
        try expect(["a", "--limit", "0"], 64, "--limit", code: "usage")
        try expect(["a", "--threshold", "2"], 64, "--threshold", code: "usage")
        try expect(["a", "--from", "5", "--to", "5"], 64, "--from", code: "usage")
        // A model whose tower has no text half.
        let random = try Fixtures.model.get()
        try expect(["a red star", "--model", random], 12, random, "text half", code: "unsupported_model")
        try expect(["a red star", "--model", "/nonexistent"], 12, "/nonexistent", code: "folder_missing")
        #expect(try tool.run("index", Fixtures.video.get(), "--model", random).status == 0)
        try expect(["a red star"], 10, "not with nano", code: "unknown_recording")
    }

    @Test func `a damaged index is told, and the others are searched`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let lines = try tool.run(["index", "--json"] + Self.recordings).lines()
        let index = try #require(lines.compactMap { $0["index"] as? String }.last, "\(lines)")
        let file = URL(filePath: tool.path("cache/indexes/\(index)/000000.seg"))
        var bytes = try Data(contentsOf: file)
        bytes[4096 + 100] ^= 1
        bytes[4096] ^= 1
        try FileManager.default.removeItem(at: file)
        try bytes.write(to: file)
        let result = try tool.run("search", Self.text, "--json")
        #expect(result.status == 3, "\(result.errors)")
        let document = try result.object()
        #expect((document["failed"] as? [Any])?.count == 1)
        #expect((document["moments"] as? [Any])?.isEmpty == false)
        #expect(try tool.run("search", Self.text).errors.contains("is damaged"))
    }
}
