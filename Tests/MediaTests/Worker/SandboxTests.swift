import Foundation
import Glibc
import Media
import Testing

/// What code inside the decode worker can call: a process in the same sandbox tries, and says what it got.
@Suite struct SandboxTests {
    private struct Call {
        let result: Int
        let error: Int32
    }

    /// The calls of SandboxProbe by their names, and the signal that ended it.
    private func attack(victim: pid_t, threads: Int, command: [String] = []) throws -> (
        calls: [String: Call], signal: Int32
    ) {
        let output = Pipe()
        let process = Process()
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let probe = URL(filePath: own).deletingLastPathComponent().appending(path: "SandboxProbe").path
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command + [probe, "\(victim)", "\(threads)"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let calls = text.split(separator: "\n").map { $0.split(separator: " ") }.compactMap {
            words -> (String, Call)? in
            guard words.count == 3, let result = Int(words[1]), let error = Int32(words[2]) else { return nil }
            return (String(words[0]), Call(result: result, error: error))
        }
        let signal = process.terminationReason == .uncaughtSignal ? process.terminationStatus : 0
        return (Dictionary(calls) { $1 }, signal)
    }

    @Test(arguments: [1, 4])
    func `no call from inside the worker gets out of it`(threads: Int) throws {
        let victim = Process()
        victim.executableURL = URL(filePath: "/bin/sleep")
        victim.arguments = ["600"]
        try victim.run()
        defer {
            // A thread of the tests may have signals blocked, and the child inherits it.
            kill(victim.processIdentifier, SIGKILL)
            victim.waitUntilExit()
        }
        let (calls, signal) = try attack(victim: victim.processIdentifier, threads: threads)
        #expect(calls["sandbox"]?.result == 1, "no filter")
        let allowed: Set = ["sandbox", "pthread_create", "malloc", "read", "write", "own-thread-signal", "fstat"]
        #expect(calls.keys.filter { !allowed.contains($0) }.count >= 110, "\(calls.count)")
        for (name, call) in calls where !allowed.contains(name) {
            #expect(call.result == -1, "\(name) returned \(call.result)")
            // glibc starts threads by clone where there is no clone3.
            #expect(call.error == (name == "clone3" ? ENOSYS : EPERM), "\(name): error \(call.error)")
        }
        #expect(victim.isRunning)
        // What decoding needs works: a signal to itself, memory, descriptors, and threads where they were asked for.
        #expect(signal == SIGABRT)
        #expect(calls["malloc"]?.result == 0 && calls["read"]?.result == 0 && calls["write"]?.result == 0)
        #expect(calls["own-thread-signal"]?.result == 0 && calls["fstat"]?.result == 0)
        if threads > 1 { #expect(calls["pthread_create"]?.result == 0) }
    }

    /// Root may have more processes than the limit says.
    @Test(.enabled(if: getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0))
    func `a worker with one thread can start no other`() throws {
        let user = "\(2_100_000 + Int(getpid() % 100_000))"
        for (threads, error) in [(1, EAGAIN), (2, 0)] {
            let (calls, signal) = try attack(
                victim: getpid(), threads: threads,
                command: ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"])
            #expect(signal == SIGABRT)
            #expect(calls["pthread_create"]?.result == Int(error))
            #expect(calls["kill"]?.error == EPERM)
        }
    }

    @Test func `the worker says what its kernel has`() throws {
        let state = try DecodeWorker.sandbox()
        #expect(state.isFiltered)
        #expect((0...64).contains(state.landlock))
    }
}
