import Dispatch
import Foundation
import Glibc

/// A directory of its own that vanishes with the value.
final class DecodeDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "longtake-decode-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// A tool that failed, with what it said.
struct ToolFailure: Error, CustomStringConvertible {
    let description: String
}

/// The tools of FFmpeg, as a user would call them.
enum MediaTool {
    static func ffmpeg(_ arguments: [String], in directory: DecodeDirectory) throws {
        _ = try run("ffmpeg", ["-nostdin", "-y", "-v", "error"] + arguments, in: directory)
    }

    static func ffprobe(_ arguments: [String], in directory: DecodeDirectory) throws -> String {
        String(decoding: try run("ffprobe", ["-v", "error"] + arguments, in: directory), as: UTF8.self)
    }

    /// Runs a tool for at most two minutes and returns its standard output.
    private static func run(_ tool: String, _ arguments: [String], in directory: DecodeDirectory) throws -> Data {
        // Files, not pipes: no output is too long for them.
        let name = directory.file(UUID().uuidString)
        let (out, err) = (name + ".out", name + ".err")
        guard FileManager.default.createFile(atPath: out, contents: nil),
            FileManager.default.createFile(atPath: err, contents: nil),
            let output = FileHandle(forWritingAtPath: out), let errors = FileHandle(forWritingAtPath: err)
        else { throw ToolFailure(description: "no files in \(directory.path)") }
        defer {
            try? FileManager.default.removeItem(atPath: out)
            try? FileManager.default.removeItem(atPath: err)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "120", tool] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
        let done = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in done.signal() }
        try process.run()
        done.wait()
        guard process.terminationStatus == 0 else {
            let said = (try? String(contentsOfFile: err, encoding: .utf8)) ?? ""
            throw ToolFailure(
                description: "\(tool) \(arguments.joined(separator: " ")): \(process.terminationStatus) \(said)")
        }
        return try Data(contentsOf: URL(fileURLWithPath: out))
    }
}
