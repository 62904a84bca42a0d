import Foundation
import Glibc
import Testing

/// Two processes at one recording: one indexes it, the other one waits or says so.
@Suite struct LockTests {
    @Test func `an index that is being written is locked, and whoever waits finds it done`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        // The first decoder of frames, which is the holder's, waits until it may go on; a look at the file goes through.
        try tool.decode(
            by: """
                case "$2" in
                *probe*) ;;
                *) touch '\(tool.path("holding"))'; while [ ! -e '\(tool.path("go"))' ]; do sleep 0.02; done ;;
                esac
                exec "$LONGTAKE" "$@"
                """)
        let holder = try Child(tool, "index", video, "--json", "--watchdog", "1h")
        try holder.wait("lock") { tool.exists("holding") }

        for wait in [[], ["--wait-lock", "1s"]] {
            let second = try tool.run(["index", video, "--json"] + wait)
            #expect(second.status == 11, "\(second.errors)")
            #expect(try second.exitError()["error"] as? String == "locked")
        }
        // What cannot be removed keeps its name.
        #expect(try tool.run("rm", video, "--yes").status == 11)
        let listed = try #require(try tool.run("ls", "--json").list().first)
        #expect(listed["path"] as? String == video && listed["state"] as? String == "indexing")
        // One file among several that is locked fails alone.
        try Data("no video".utf8).write(to: URL(filePath: tool.path("other.mkv")))
        let batch = try tool.run("index", video, "other.mkv", "--json")
        #expect(batch.status == 3, "\(batch.errors)")
        #expect(batch.errors.contains("\"locked\""))

        for (signal, status) in [(SIGINT, Int32(130)), (SIGTERM, 143), (SIGHUP, 129)] {
            let waiting = try Child(tool, "index", video, "--json", "--wait-lock", "5m")
            try waiting.wait("plan") { !waiting.output.isEmpty }
            usleep(300_000)
            #expect(waiting.process.isRunning)
            waiting.send(signal)
            #expect(waiting.end().status == status)
        }

        let waiting = try Child(tool, "index", video, "--json", "--wait-lock", "5m")
        try waiting.wait("plan") { !waiting.output.isEmpty }
        tool.make("go")
        let (held, waited) = (holder.end(), waiting.end())
        #expect(held.status == 0, "\(held.errors)")
        #expect(waited.status == 0, "\(waited.errors)")
        #expect(try held.actions() == ["new"])
        #expect(try waited.actions() == ["unchanged"])
        try tool.verify()
    }
}
