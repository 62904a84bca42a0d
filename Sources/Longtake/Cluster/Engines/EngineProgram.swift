internal import Foundation
internal import Glibc

/// Runs an engine's own programs.
struct EngineProgram {
    /// Its name, which is looked up in PATH.
    let name: String
    /// Debian's package with it, for the error if it is missing.
    let package: String

    /// True if PATH has it.
    static func exists(_ name: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }

    /// - Throws: `Failure` `engine_missing`.
    func check() throws {
        guard !Self.exists(name) else { return }
        throw Failure(
            code: "engine_missing",
            message:
                "\(name): no such program in PATH; install it (Debian's package \(package)), or use a machine that "
                + "has it", exitCode: Exit.usage)
    }

    /// Runs it and returns what it printed.
    ///
    /// - Throws: `Failure` `engine_missing`, `engine_failed` with the first line of its errors.
    @discardableResult
    func run(_ arguments: [String]) throws -> String {
        try check()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C"]) { $1 }
        let (output, errors) = (Pipe(), Pipe())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        do {
            try process.run()
        } catch {
            throw Failure(
                code: "engine_failed", message: "\(name): cannot be started: \(error.localizedDescription)",
                exitCode: Exit.retry)
        }
        // Errors are a few lines, which a pipe holds.
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let problem = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let line =
                problem.split(separator: "\n").first.map(String.init) ?? "exit status \(process.terminationStatus)"
            throw Failure(code: "engine_failed", message: "\(name): \(line)", exitCode: Exit.retry)
        }
        return text
    }

    /// Runs it in a process group of its own until it ends; a cancellation sends SIGTERM to the group.
    ///
    /// - Returns: its exit status; nil if a signal ended it.
    /// - Throws: `Failure` `engine_missing`, `engine_failed`; `interrupted` once all has ended after a cancellation.
    func runGroup(_ arguments: [String], _ cancellation: Cancellation) throws -> Int32? {
        try check()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["--default-signal", name] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.standardError
        do {
            try process.run()
        } catch {
            throw Failure(
                code: "engine_failed", message: "\(name): cannot be started: \(error.localizedDescription)",
                exitCode: Exit.retry)
        }
        let child = process.processIdentifier
        var ending: ContinuousClock.Instant?
        while process.isRunning {
            if cancellation.isCancelled {
                switch ending {
                case nil:
                    if kill(-child, SIGTERM) != 0 { kill(child, SIGTERM) }
                    ending = .now
                case let begun? where ContinuousClock.now - begun > .milliseconds(300):
                    // GNU parallel lets its jobs, which have groups of their own, end by themselves after the first one.
                    kill(child, SIGTERM)
                    ending = begun + .seconds(3600)
                default: break
                }
            }
            usleep(20_000)
        }
        // xargs ends before the workers that it started.
        while ending != nil, kill(-child, 0) == 0 { usleep(20_000) }
        process.waitUntilExit()
        try cancellation.check()
        return process.terminationReason == .exit ? process.terminationStatus : nil
    }
}
