public import Foundation

/// Tools that users have, run as they run them.
public enum RealTool {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        public init(description: String) { self.description = description }
    }

    /// Runs a program for at most two minutes.
    ///
    /// - Returns: its standard output.
    /// - Throws: `Failure` with what it wrote to standard error when its exit status is not 0.
    @discardableResult
    public static func run(_ tool: String, _ arguments: [String], in folder: String? = nil) throws -> Data {
        // Files, not pipes: no output is too long for them.
        let name = FileManager.default.temporaryDirectory.appending(path: "longtake-tool-\(UUID().uuidString)").path
        let (out, err) = (name + ".out", name + ".err")
        guard FileManager.default.createFile(atPath: out, contents: nil),
            FileManager.default.createFile(atPath: err, contents: nil)
        else { throw Failure(description: "no file \(name)") }
        defer {
            try? FileManager.default.removeItem(atPath: out)
            try? FileManager.default.removeItem(atPath: err)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "120", tool] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: out))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: err))
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let said = (try? String(contentsOfFile: err, encoding: .utf8)) ?? ""
            throw Failure(
                description: "\(tool) \(arguments.joined(separator: " ")): status \(process.terminationStatus): \(said)"
            )
        }
        return try Data(contentsOf: URL(fileURLWithPath: out))
    }

    public static func ffmpeg(_ arguments: [String], in folder: String? = nil) throws {
        try run("ffmpeg", ["-nostdin", "-y", "-v", "error"] + arguments, in: folder)
    }

    public static func ffprobe(_ arguments: [String], in folder: String? = nil) throws -> String {
        String(decoding: try run("ffprobe", ["-v", "error"] + arguments, in: folder), as: UTF8.self)
    }
}
