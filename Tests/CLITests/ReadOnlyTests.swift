import Foundation
import Glibc
import Testing

/// A library that can only be read, by a disk's mount or by the rights of its files.
@Suite(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here")) struct ReadOnlyTests {
    // A model whose embeddings can be searched.
    private static let (model, video) = (SearchCommandTests.model, SearchCommandTests.recordings[0])

    private struct Known {
        let id: String
        let byID: [Int]
        let byFile: [Int]
        let moments: Data
    }

    /// Indexes the recording, and notes what is answered while everything can be written.
    private func prepare(_ tool: Tool, _ video: String) throws -> Known {
        try #require(try tool.run("index", video, "--prefix-cache", "never").status == 0)
        let id = try tool.run("ls", "--quiet").text.trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(!id.isEmpty)
        return Known(
            id: id,
            byID: try tool.tokens("ask", id, "What is it?"),
            byFile: try tool.tokens("ask", video, "What is it?"),
            moments: try moments(tool.run("search", "a thing", "--json")))
    }

    /// What a search found, without the time it took.
    private func moments(_ result: Tool.Result) throws -> Data {
        #expect(result.status == 0, "\(result.errors)")
        return try JSONSerialization.data(
            withJSONObject: try #require(try result.object()["moments"]), options: .sortedKeys)
    }

    /// Everything that only reads works; what writes says where it could not.
    private func check(_ known: Known, _ video: String, run: ([String]) throws -> Tool.Result) throws {
        for (name, wanted) in [(known.id, known.byID), (video, known.byFile)] {
            let answer = try run(["ask", name, "What is it?", "--max-tokens", "8", "--json"])
            #expect(answer.status == 0, "\(name): \(answer.errors)")
            #expect(try answer.object()["token_ids"] as? [Int] == wanted, "\(name)")
        }
        #expect(try run(["ls", "--json"]).list().map { $0["id"] as? String } == [known.id])
        let shown = try run(["show", known.id])
        #expect(shown.status == 0 && shown.text.contains(known.id))
        let found = try moments(run(["search", "a thing", "--json"]))
        #expect(
            found == known.moments,
            "\(String(decoding: found, as: UTF8.self)), not \(String(decoding: known.moments, as: UTF8.self))")
        #expect(try run(["cache", "stats", "--json"]).object()["indexes"] as? Int == 1)
        let verified = try run(["cache", "verify", "--read-data", "--json"])
        #expect(try verified.status == 0 && (verified.object()["bytes_read"] as? Int ?? 0) > 0, "\(verified.errors)")
        #expect(try run(["index", video]).status == 0, "it is indexed")
    }

    @Test(arguments: ["data", "away/data"]) func `a disk mounted read-only`(data: String) throws {
        let disk = try SmallDisk(size: "16m")
        defer { disk.remove() }
        var tool = try Tool()
        defer { tool.remove() }
        let (home, temporary) = (tool.path("home"), tool.path("tmp"))
        for folder in [home, temporary] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        tool.environment["HOME"] = home
        tool.environment["TMPDIR"] = temporary
        tool.environment["LONGTAKE_CACHE_DIR"] = disk.path + "/cache"
        tool.environment["LONGTAKE_DATA_DIR"] = disk.path + "/data"
        tool.environment["LONGTAKE_MODEL"] = Self.model
        let video = Self.video
        let known = try prepare(tool, video)
        try disk.makeReadOnly()
        let before = tool.files(below: disk.path)
        // One that is missing cannot be made either.
        tool.environment["LONGTAKE_DATA_DIR"] = disk.path + "/" + data
        if data == "data" {
            try check(known, video) { try tool.run($0) }
        } else {
            let answer = try tool.run("ask", known.id, "What is it?", "--max-tokens", "8")
            #expect(answer.status == 0 && answer.errors.contains("note: \(disk.path)/away/data: "), "\(answer.errors)")
            #expect(try tool.tokens("ask", known.id, "What is it?") == known.byID)
            #expect(try tool.tokens("ask", video, "What is it?") == known.byFile)
            #expect(try tool.run("ls", "--json").list().count == 1)
            #expect(try tool.run("show", video).status == 0, "found by the path in its manifest")
            #expect(try moments(tool.run("search", "a thing", "--json")) == known.moments)
        }
        let refused = try tool.run("index", video, "--fps", "3", "--json")
        #expect(refused.status == 13)
        let message = try #require(try refused.exitError()["message"] as? String)
        #expect(message.contains(disk.path + (data == "data" ? "/cache" : "/away/data")), "\(message)")
        for arguments in [["rm", known.id, "--yes"], ["cache", "prune", "--max", "0", "--yes"], ["cache", "repair"]] {
            let result = try tool.run(arguments)
            #expect(result.status == 13, "\(arguments): \(result.status) \(result.errors)")
            #expect(result.errors.contains(disk.path), "\(arguments): \(result.errors)")
        }
        #expect(tool.files(below: disk.path) == before)
        #expect(tool.files(below: home).isEmpty && tool.files(below: temporary).isEmpty, "nothing goes elsewhere")
    }

    /// As a user without the right to write, which root always has.
    @Test func `folders without the right to write`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("video.mp4")
        try FileManager.default.copyItem(atPath: Self.video, toPath: video)
        try FileManager.default.copyItem(atPath: Self.model, toPath: tool.path("nano"))
        tool.environment["LONGTAKE_MODEL"] = tool.path("nano")
        let (home, temporary) = (tool.path("home"), tool.path("tmp"))
        for folder in [home, temporary] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        // Before it is indexed: a new mode is a new change time, and the file is then said to have changed.
        try #require(try tool.shell("chmod -R a+rX nano video.mp4").status == 0)
        let known = try prepare(tool, video)
        tool.environment["HOME"] = home
        tool.environment["TMPDIR"] = temporary
        let own = try tool.shell(
            """
            chown -R 65534 home tmp cache data && chmod -R a-w cache data
            """)
        try #require(own.status == 0, "\(own.errors)")
        let before = tool.files(below: "cache") + tool.files(below: "data")
        func run(_ arguments: [String]) throws -> Tool.Result {
            try tool.shell("exec setpriv --reuid 65534 --clear-groups \"$TOOL\" \"$@\"", arguments)
        }
        try #require(try run(["--version"]).status == 0)
        try check(known, video, run: run)
        let refused = try run(["index", video, "--fps", "3", "--json"])
        #expect(refused.status == 13)
        #expect(try (refused.exitError()["message"] as? String)?.contains(tool.path("cache")) == true)
        #expect(tool.files(below: "cache") + tool.files(below: "data") == before)
        #expect(tool.files(below: home).isEmpty && tool.files(below: temporary).isEmpty)
        #expect(try run(["rm", known.id, "--yes"]).status == 13)
    }
}
