public import Foundation

/// Runs installed programs as users do.
public enum RealTool {
    /// A program that failed.
    public struct Failure: Error, CustomStringConvertible {
        /// The command, its exit status and its standard error.
        public let description: String
        /// A failure with this text.
        public init(description: String) { self.description = description }
    }

    /// Runs a program for at most two minutes.
    ///
    /// - Returns: its standard output.
    /// - Throws: `Failure` with its standard error if the exit status is not 0.
    @discardableResult
    public static func run(_ tool: String, _ arguments: [String], in folder: String? = nil) throws -> Data {
        // Files, not pipes: a pipe blocks when it is full.
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

    /// Runs ffmpeg, overwriting outputs and reporting only errors.
    public static func ffmpeg(_ arguments: [String], in folder: String? = nil) throws {
        try run("ffmpeg", ["-nostdin", "-y", "-v", "error"] + arguments, in: folder)
    }

    /// Runs ffprobe and returns its standard output as text.
    public static func ffprobe(_ arguments: [String], in folder: String? = nil) throws -> String {
        String(decoding: try run("ffprobe", ["-v", "error"] + arguments, in: folder), as: UTF8.self)
    }
}
