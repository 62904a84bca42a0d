import Foundation
import Glibc
import Testing

/// Each command probes a new file once and decodes it once.
@Suite struct WorkerCountTests {
    @Test(arguments: [
        (["index", "VIDEO", "--dry-run"], 1),
        (["index", "VIDEO"], 2),
        (["index", "VIDEO", "--json"], 2),
        (["index", "VIDEO", "--force"], 2),
        (["ask", "VIDEO", "Is it day?", "Is it night?", "What is it?", "--max-tokens", "1"], 2),
        (["frames", "VIDEO", "--out", "frames"], 1),
    ])
    func `a command starts as many workers as it needs`(arguments: [String], workers: Int) throws {
        var tool = try Tool()
        defer { tool.remove() }
        let log = try tool.countWorkers()
        let video = try Fixtures.video.get()
        let result = try tool.run(arguments.map { $0 == "VIDEO" ? video : $0 })
        #expect(result.status == 0, "\(result.errors)")
        #expect(try log().count == workers)
    }

    @Test func `an indexed file starts no worker`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        // A file that is read within 2 s of its last change is read again by the next command.
        var status = stat()
        while stat(video, &status) == 0, time(nil) - status.st_ctim.tv_sec < 4 { usleep(50_000) }
        #expect(try tool.run("index", video).status == 0)
        _ = try tool.countWorkers()
        #expect(try tool.run("index", video).status == 0)
        #expect(try tool.run("ask", video, "Is it day?", "Is it night?", "--max-tokens", "1").status == 0)
        #expect(!tool.exists("workers.log"))
    }

    @Test func `each of several files is probed and decoded once`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let log = try tool.countWorkers()
        let video = try Data(contentsOf: URL(filePath: Fixtures.video.get()))
        for name in ["a.mp4", "b.mp4", "c.mp4"] {
            // A box at the end that players skip makes the contents different.
            let box = [0, 0, 0, 9] + Array("free".utf8) + Array(name.utf8.prefix(1))
            try (video + Data(box)).write(to: URL(filePath: tool.path(name)))
        }
        let result = try tool.run("index", "a.mp4", "b.mp4", "c.mp4")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try log().count == 6)
    }
}
