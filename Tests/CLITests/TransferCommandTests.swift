import Foundation
import Glibc
import TestSupport
import Testing

/// Indexes that move from one cache to another.
@Suite struct TransferCommandTests {
    /// Two machines: folders, caches and catalogs of their own.
    private struct Machines {
        let big: Tool
        let laptop: Tool
        let id: String
        let index: String
        let video: String
        var archives: String { big.path("archives") }
        var archive: String { archives + "/" + index + ".tar" }

        /// - Parameter arguments: of `index`.
        init(_ arguments: [String] = ["--prefix-cache", "never"]) throws {
            (big, laptop) = (try Tool(), try Tool())
            video = big.path("day.mp4")
            try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: video)
            let made = try big.run(["index", video, "--json"] + arguments)
            try #require(made.status == 0, "\(made.errors)")
            let done = try #require(try made.lines().first { $0["message_type"] as? String == "verbose_status" })
            id = try #require(done["id"] as? String)
            index = try #require(done["index"] as? String)
        }

        func remove() {
            big.remove()
            laptop.remove()
        }

        func export() throws {
            let result = try big.run("cache", "export", id, "--to", archives)
            try #require(result.status == 0, "\(result.errors)")
        }

        /// The laptop's index is the big machine's, and whole.
        func expectSame(sourceLocation: SourceLocation = #_sourceLocation) throws {
            let wanted = try indexFiles(big.path("cache/indexes/" + index))
            let found = try indexFiles(laptop.path("cache/indexes/" + index))
            #expect(found == wanted, sourceLocation: sourceLocation)
            try laptop.verify()
            let names = try FileManager.default.contentsOfDirectory(atPath: laptop.path("cache/indexes"))
            #expect(names == [index], "\(names)", sourceLocation: sourceLocation)
        }
    }

    private func action(_ result: Tool.Result) throws -> String? {
        try result.lines().first { $0["message_type"] as? String == "verbose_status" }?["action"] as? String
    }

    @Test func `an imported index answers as the one it was exported from`() throws {
        let machines = try Machines()
        defer { machines.remove() }
        let answer = try machines.big.tokens("ask", machines.id, "What is it?")
        try FileManager.default.removeItem(atPath: machines.video)
        #expect(try machines.big.tokens("ask", machines.id, "What is it?") == answer)

        let exported = try machines.big.run("cache", "export", "day.mp4", "--to", machines.archives, "--json")
        #expect(exported.status == 0, "\(exported.errors)")
        #expect(try action(exported) == "new")
        #expect(try exported.summary()["indexes_new"] as? Int == 1)
        #expect(machines.big.files(below: machines.archives) == [machines.index + ".tar"])
        let before = try Data(contentsOf: URL(filePath: machines.archive))
        #expect(
            try action(machines.big.run("cache", "export", machines.id, "--to", machines.archives, "--json"))
                == "unchanged")

        let imported = try machines.laptop.run("cache", "import", machines.archives, "--json")
        #expect(imported.status == 0, "\(imported.errors)")
        #expect(try action(imported) == "new")
        try machines.expectSame()
        #expect(try machines.laptop.tokens("ask", machines.id, "What is it?") == answer)
        let listed = try #require(try machines.laptop.run("ls", "--json").list().first)
        #expect(listed["id"] as? String == machines.id && listed["file"] as? String == "unreachable")
        #expect(listed["path"] as? String == machines.video)
        #expect(try machines.laptop.run("show", "day.mp4", "--quiet").text == machines.id + "\n")
        // What looks for lost files leaves it alone.
        let lost = try machines.laptop.run("rm", "--missing", "--yes")
        #expect(lost.status == 0 && lost.errors.contains("1 recording stays"), "\(lost.errors)")
        #expect(try action(machines.laptop.run("cache", "import", machines.archive, "--json")) == "unchanged")
        #expect(try Data(contentsOf: URL(filePath: machines.archive)) == before)

        // A changed archive of another run is replaced, an archive that is damaged written again.
        try Data("x".utf8).write(to: URL(filePath: machines.archive))
        #expect(
            try action(machines.big.run("cache", "export", machines.id, "--to", machines.archives, "--json")) == "new")
        #expect(try Data(contentsOf: URL(filePath: machines.archive)) == before)
    }

    @Test func `every index of a recording, or one, through a pipe`() throws {
        let machines = try Machines()
        defer { machines.remove() }
        let second = try machines.big.run("index", machines.video, "--fps", "3", "--prefix-cache", "never")
        try #require(second.status == 0, "\(second.errors)")
        // The second program uses the laptop's folders.
        let script = """
            "$TOOL" cache export "$1" --to - | LONGTAKE_CACHE_DIR="$2/cache" LONGTAKE_DATA_DIR="$2/data" "$TOOL" cache import - --json
            """
        let piped = try machines.big.shell(script, [machines.id, machines.laptop.folder.path])
        #expect(piped.status == 0, "\(piped.errors)")
        #expect(try piped.summary()["indexes_new"] as? Int == 2)
        #expect(try machines.laptop.run("ls", "--json").list().count == 2)
        let again = try machines.big.shell(script, [machines.index, machines.laptop.folder.path])
        #expect(try again.summary()["indexes_unchanged"] as? Int == 1)
        try machines.laptop.verify()
        // A reader that goes away.
        let gone = try machines.big.shell(
            "{ \"$TOOL\" cache export \"$1\" --to -; echo $? >&2; } | true", [machines.id])
        let status = gone.errors.split(separator: "\n").last.map(String.init) ?? ""
        #expect(["0", "141"].contains(status), "\(gone.errors)")
    }

    @Test func `what is damaged or something else is refused`() throws {
        let machines = try Machines()
        defer { machines.remove() }
        try machines.export()
        let whole = try Data(contentsOf: URL(filePath: machines.archive))
        var random = SeededNumbers(state: 5)
        for _ in 0..<10 {
            var changed = whole
            changed[Int.random(in: 0..<whole.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            try changed.write(to: URL(filePath: machines.laptop.path("a.tar")))
            let result = try machines.laptop.run("cache", "import", "a.tar", "--json")
            #expect(result.status == 17, "\(result.errors)")
            #expect(try result.exitError()["error"] as? String == "damaged")
        }
        for (name, data) in [
            ("empty.tar", Data()), ("text.tar", Data("hello\n".utf8)), ("half.tar", whole.prefix(whole.count / 2)),
            ("noise.tar", Data((0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) })),
        ] {
            try data.write(to: URL(filePath: machines.laptop.path(name)))
            #expect(try machines.laptop.run("cache", "import", name).status == 17, "\(name)")
            #expect(try machines.laptop.run(["cache", "import", "-"], input: data).status == 17, "\(name)")
        }
        // An archive whose own hash is right, of an index whose data is not.
        let folder = machines.big.path("cache/indexes/" + machines.index)
        let file = folder + "/000000.seg"
        var bytes = try Data(contentsOf: URL(filePath: file))
        let good = bytes
        bytes[4096 + 60] ^= 1
        try bytes.write(to: URL(filePath: file))
        #expect(try machines.big.run("cache", "export", machines.id, "--to", machines.big.path("other")).status == 17)
        #expect(machines.big.files(below: "other").isEmpty)
        try good.write(to: URL(filePath: file))

        #expect(try machines.laptop.run("cache", "import", "none.tar").status == 14)
        try FileManager.default.createDirectory(
            atPath: machines.laptop.path("void"), withIntermediateDirectories: false)
        #expect(try machines.laptop.run("cache", "import", "void").status == 14)
        #expect(try machines.laptop.run("cache", "import", "-", "a.tar").status == 64)
        #expect(try machines.big.run("cache", "export", "vid_0000000000000000", "--to", machines.archives).status == 10)
        #expect(machines.laptop.files(below: "cache/indexes").isEmpty)
        // One that fails does not keep the others.
        let mixed = try machines.laptop.run("cache", "import", "text.tar", machines.archive, "--json")
        #expect(mixed.status == 3, "\(mixed.errors)")
        #expect(try mixed.summary()["indexes_new"] as? Int == 1 && mixed.summary()["indexes_failed"] as? Int == 1)
        try machines.expectSame()
    }

    @Test func `a partial index is replaced, one that is in use is not`() throws {
        let machines = try Machines(["--prefix-cache", "never"] + Tool.dense)
        defer { machines.remove() }
        try machines.export()
        try #require(try machines.laptop.run("cache", "import", machines.archive).status == 0)
        // Its last segment is lost, and repair makes it partial.
        let folder = machines.laptop.path("cache/indexes/" + machines.index)
        let file = folder + "/000001.seg"
        let size = try Data(contentsOf: URL(filePath: file)).count
        truncate(file, off_t(size / 2))
        try #require(try machines.laptop.run("cache", "repair").status == 0)
        #expect(try machines.laptop.run("ls", "--json").list().first?["state"] as? String == "partial")
        for lock in [".lock", ".readers"] {
            let descriptor = open(folder + "/" + lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            try #require(flock(descriptor, LOCK_EX) == 0)
            let locked = try machines.laptop.run("cache", "import", machines.archive, "--json")
            #expect(locked.status == 11, "\(lock): \(locked.errors)")
            close(descriptor)
        }
        #expect(machines.laptop.files(below: "cache/indexes").allSatisfy { !$0.hasPrefix("import.") })
        let replaced = try machines.laptop.run("cache", "import", machines.archive, "--json")
        #expect(replaced.status == 0, "\(replaced.errors)")
        #expect(try action(replaced) == "replaced")
        try machines.expectSame()
    }

    @Test(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here"))
    func `a full disk and a full cache end with 13 and leave nothing`() throws {
        let machines = try Machines(["--prefix-cache", "never"] + Tool.dense)
        defer { machines.remove() }
        try machines.export()
        let disk = try SmallDisk(size: "16m")
        defer { disk.remove() }
        var laptop = machines.laptop
        laptop.environment["LONGTAKE_CACHE_DIR"] = disk.path + "/cache"
        try #require(try laptop.run("cache", "import", "none.tar").status == 14)
        try disk.fill(leaving: 300_000)
        let input = try Data(contentsOf: URL(filePath: machines.archive))
        for (arguments, stream) in [(["cache", "import", machines.archive], nil), (["cache", "import", "-"], input)] {
            let result = try laptop.run(arguments, input: stream)
            #expect(result.status == 13, "\(result.errors)")
            #expect(laptop.files(below: disk.path + "/cache/indexes").isEmpty)
        }
        let out = try machines.big.run("cache", "export", machines.id, "--to", disk.path + "/out")
        #expect(out.status == 13, "\(out.errors)")
        #expect(machines.big.files(below: disk.path + "/out").isEmpty)
        disk.empty()
        let small = try laptop.run("cache", "import", machines.archive, "--cache-max", "100K")
        #expect(small.status == 13, "\(small.errors)")
        #expect(try laptop.run("cache", "import", machines.archive).status == 0)
    }

    /// A cache of root's on a disk that is mounted read-only, and a reader with a catalog of its own.
    @Test(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here"))
    func `a cache that is shared is asked, searched and exported`() throws {
        let disk = try SmallDisk(size: "16m")
        defer { disk.remove() }
        var tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.copyItem(atPath: SearchCommandTests.model, toPath: tool.path("nano"))
        let home = tool.path("home")
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        tool.environment["LONGTAKE_MODEL"] = tool.path("nano")
        tool.environment["LONGTAKE_CACHE_DIR"] = disk.path + "/cache"
        let video = tool.path("video.mp4")
        try FileManager.default.copyItem(atPath: SearchCommandTests.recordings[0], toPath: video)
        try #require(try tool.run("index", video, "--prefix-cache", "never").status == 0)
        let id = try tool.run("ls", "--quiet").text.trimmingCharacters(in: .whitespacesAndNewlines)
        let answer = try tool.tokens("ask", id, "What is it?")
        let shared = try tool.shell(
            "chmod -R u+rwX,go+rX,go-w \(disk.path)/cache nano video.mp4 && chown -R 65534 home && chmod 755 .")
        try #require(shared.status == 0, "\(shared.errors)")
        try disk.makeReadOnly()
        let before = tool.files(below: disk.path)
        tool.environment["HOME"] = home
        tool.environment["TMPDIR"] = home
        tool.environment["LONGTAKE_DATA_DIR"] = home + "/data"
        func run(_ arguments: String...) throws -> Tool.Result {
            try tool.shell("cd home && exec setpriv --reuid 65534 --clear-groups \"$TOOL\" \"$@\"", arguments)
        }
        for _ in 0..<2 {
            let asked = try run("ask", id, "What is it?", "--max-tokens", "8", "--json")
            #expect(asked.status == 0, "\(asked.errors)")
            #expect(try asked.object()["token_ids"] as? [Int] == answer)
        }
        #expect(try run("ls", "--json").list().map { $0["id"] as? String } == [id])
        let found = try run("search", "a thing", "--json")
        #expect(try found.status == 0 && (found.object()["moments"] as? [Any])?.isEmpty == false, "\(found.errors)")
        #expect(try run("cache", "verify", "--read-data").status == 0)
        let exported = try run("cache", "export", id, "--to", "out", "--json")
        #expect(exported.status == 0, "\(exported.errors)")
        #expect(try action(exported) == "new")
        #expect(try run("index", video, "--fps", "3").status == 13)
        #expect(tool.files(below: disk.path) == before)
    }

    /// Kills a command at random times until it ends by itself, at most `count` times.
    private func killing(_ count: Int, _ random: inout SeededNumbers, _ tool: Tool, _ arguments: [String]) throws {
        for _ in 0..<count {
            let child = try Child(tool, program: Tool.executable.path, arguments)
            usleep(UInt32.random(in: 0...150_000, using: &random))
            child.send(SIGKILL)
            child.process.waitUntilExit()
        }
        let result = try tool.run(arguments)
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `killed at any time, the next one ends with the same`() throws {
        let machines = try Machines(["--prefix-cache", "never"] + Tool.dense)
        defer { machines.remove() }
        try machines.export()
        let whole = try Data(contentsOf: URL(filePath: machines.archive))
        var random = SeededNumbers(state: UInt64(getpid()))
        let kills = LongRun.count(of: 20) ?? 5
        try FileManager.default.removeItem(atPath: machines.archive)
        try killing(kills, &random, machines.big, ["cache", "export", machines.id, "--to", machines.archives])
        #expect(try Data(contentsOf: URL(filePath: machines.archive)) == whole)
        #expect(machines.big.files(below: machines.archives) == [machines.index + ".tar"])
        try killing(kills, &random, machines.laptop, ["cache", "import", machines.archive])
        try machines.expectSame()
        #expect(try machines.laptop.run("ls", "--json").list().count == 1)
    }
}
