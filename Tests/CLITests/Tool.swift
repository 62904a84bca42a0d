import Foundation
import Glibc
import Testing

/// Runs the program as users do: a process with arguments, an environment and pipes.
struct Tool {
    struct Result {
        let status: Int32
        let output: Data
        let errors: String
        var text: String { String(decoding: output, as: UTF8.self) }

        /// The output as one JSON document.
        func object() throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: output) as? [String: Any], "\(text) \(errors)")
        }

        func list() throws -> [[String: Any]] {
            try #require(try JSONSerialization.jsonObject(with: output) as? [[String: Any]], "\(text) \(errors)")
        }

        /// The output as one JSON object per line.
        func lines() throws -> [[String: Any]] {
            try output.split(separator: UInt8(ascii: "\n")).map {
                try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
            }
        }

        /// The last line of standard error, which in JSON mode says why it ended.
        func exitError() throws -> [String: Any] {
            let last = try #require(errors.split(separator: "\n").last, "nothing on standard error")
            return try #require(try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any])
        }
    }

    static let executable: URL = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: own).deletingLastPathComponent().appending(path: "longtake")
    }()

    /// Every test has a library of its own.
    let folder: URL
    var environment: [String: String]

    init(model: Bool = true) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "longtake-cli-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "", "HOME": folder.path,
            "LONGTAKE_CACHE_DIR": folder.path + "/cache", "LONGTAKE_DATA_DIR": folder.path + "/data",
            "OMP_WAIT_POLICY": "passive",
        ]
        if model { environment["LONGTAKE_MODEL"] = try Fixtures.model.get() }
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appending(path: name).path }

    func start(
        _ arguments: [String], input: FileHandle? = nil, program: URL = Tool.executable
    ) throws -> (Process, output: Pipe, errors: Pipe) {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = folder
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = input ?? FileHandle.nullDevice
        try process.run()
        return (process, output, errors)
    }

    @discardableResult
    func run(_ arguments: String..., input: Data? = nil) throws -> Result { try run(arguments, input: input) }

    @discardableResult
    func run(_ arguments: [String], input: Data? = nil) throws -> Result {
        let errorsFile = folder.appending(path: "stderr-\(UUID().uuidString)")
        var inputHandle: FileHandle?
        if let input {
            let file = folder.appending(path: "stdin-\(UUID().uuidString)")
            try input.write(to: file)
            inputHandle = try FileHandle(forReadingFrom: file)
        }
        _ = FileManager.default.createFile(atPath: errorsFile.path, contents: nil)
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = folder
        let output = Pipe()
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errorsFile)
        process.standardInput = inputHandle ?? FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let status =
            process.terminationReason == .uncaughtSignal ? 256 + process.terminationStatus : process.terminationStatus
        return Result(
            status: status, output: data,
            errors: String(decoding: (try? Data(contentsOf: errorsFile)) ?? Data(), as: UTF8.self))
    }
}

/// Files that many tests share, made once per run by real tools.
enum Fixtures {
    static let folder: URL = {
        let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-fixtures-\(getpid())")
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: Fixtures.folder) }
        return folder
    }()

    /// A random model of the smallest shape.
    static let model: Swift.Result<String, any Error> = Swift.Result {
        let path = folder.path + "/nano"
        try execute(Tool.executable.path, ["model", "make-random", "--shape", "nano", "--out", path, "--quiet"])
        return path
    }

    /// 12 s, 320×240, H.264 in MP4 with the index in front.
    static let video: Swift.Result<String, any Error> = Swift.Result {
        let path = folder.path + "/video.mp4"
        try ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=12", "-c:v", "libx264", "-preset", "ultrafast",
            "-movflags", "+faststart", path)
        return path
    }

    static func ffmpeg(_ arguments: String...) throws { try ffmpeg(arguments) }

    static func ffmpeg(_ arguments: [String]) throws {
        try execute("/usr/bin/env", ["ffmpeg", "-v", "error", "-nostdin", "-y"] + arguments)
    }

    static func execute(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
    }

    /// The first `part` of a file's bytes.
    static func cut(_ path: String, to target: String, part: Double) throws {
        let data = try Data(contentsOf: URL(filePath: path))
        try data.prefix(Int(Double(data.count) * part)).write(to: URL(filePath: target))
    }
}
