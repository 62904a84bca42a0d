import Foundation
import Glibc
import Testing

import Media

/// F29: nothing in a file makes the worker open a name or talk to the network; asked of the kernel by strace.
@Suite struct FaultsNetworkTests {
    private static var hasTracer: Bool { access("/usr/bin/strace", X_OK) == 0 }

    /// Runs the worker on a file under strace and answers its calls of names and sockets, and what it wrote.
    private func trace(_ directory: FaultDirectory, _ path: String) throws -> (calls: [String], output: [UInt8]) {
        let request = String(decoding: try JSONEncoder().encode(nativeRequest()), as: UTF8.self)
        let log = directory.file("strace.log")
        let out = directory.file("worker.out")
        unlink(log)
        // -D: the worker stays the child of this process, which it insists on.
        let command =
            "exec strace -D -f -o \"$1\" -e trace=%network,open,openat,openat2,execve \"$2\" decode-worker \"$3\" $PPID "
            + "3<\"$4\" 4> >(cat > \"$5\")"
        let status = try runTool("bash", ["-c", command, "bash", log, try workerPath(), request, path, out])
        #expect(status == 0)
        // The tracer is on its own now: its log is complete with the line of the exit.
        var text = ""
        for _ in 0..<200 {
            text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            if text.contains("+++ exited with") { break }
            usleep(20_000)
        }
        #expect(text.contains("+++ exited with"))
        usleep(50_000)
        return (text.split(separator: "\n").map(String.init), try directory.read("worker.out"))
    }

    private func workerPath() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for folder in [
            URL(fileURLWithPath: own).deletingLastPathComponent().path,
            FileManager.default.currentDirectoryPath + "/.build/release",
        ] {
            if access(folder + "/longtake", X_OK) == 0 { return folder + "/longtake" }
        }
        throw FaultProblem("no worker")
    }

    private static let clips = ["good.mp4", "list.ts", "script.txt", "dref.mp4", "gab2.avi", "list.mkv"]

    @Test(.enabled(if: hasTracer), arguments: clips)
    func theWorkerOpensNothing(name: String) throws {
        let directory = try FaultDirectory()
        let good = try directory.ramp("whole.mp4", seconds: 2)
        let list = "#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n\(good)\n#EXT-X-ENDLIST\n"
        switch name {
        case "good.mp4": _ = try directory.ramp(name, seconds: 2)
        case "script.txt": _ = try directory.write(name, "ffconcat version 1.0\nfile '\(good)'\n")
        case "dref.mp4":
            _ = try directory.write(name, withExternalMedia(try directory.read("whole.mp4"), name: good))
        case "gab2.avi":
            _ = try directory.ramp("plain.avi", seconds: 2)
            var bytes = try directory.read("plain.avi")
            // A subtitle packet of an AVI may hold a whole file of another format.
            let packet = try #require(bytes.positions(of: "00dc").first)
            bytes.put(Array("01sb".utf8), at: packet)
            bytes.put(
                Array("GAB2\0".utf8) + [2, 0] + bytes32(0) + [4, 0] + Array(list.utf8.prefix(60)), at: packet + 8)
            _ = try directory.write(name, bytes)
        default: _ = try directory.write(name, list)
        }
        let (calls, output) = try trace(directory, directory.file(name))
        #expect(output.starts(with: Array("LTF1".utf8)))
        if name == "good.mp4" { #expect(output.count > 2 * 64 * 48 * 3) }
        #expect(calls.contains { $0.contains("execve(") })
        let network = ["socket(", "connect(", "sendto(", "sendmsg(", "bind(", "getaddrinfo", "socketpair("]
        for call in network { #expect(!calls.contains { $0.contains(call) }, "\(call)") }
        // The loader opens libraries; no name of ours is among what is opened.
        let opened = calls.filter { $0.contains("open") }
        #expect(!opened.contains { $0.contains(directory.path) }, "\(opened.filter { $0.contains(directory.path) })")
        #expect(!opened.contains { $0.contains("whole.mp4") })
    }
}
