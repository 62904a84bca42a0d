import Foundation
import Glibc
import Testing

/// A file system of its own in memory, as small as a test wants its disk to be.
final class SmallDisk {
    let path: String
    private let size: String

    /// Whether one can be made here: root can, in most containers.
    static let isPossible: Bool = {
        guard geteuid() == 0, let disk = try? SmallDisk(size: "64k") else { return false }
        disk.remove()
        return true
    }()

    /// - Parameter size: as mount takes it: "64m".
    init(size: String) throws {
        path = NSTemporaryDirectory() + "longtake-disk-" + UUID().uuidString
        self.size = size
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(size),mode=755") == 0 else {
            rmdir(path)
            throw POSIXError(.EPERM)
        }
    }

    /// From here on nothing can be written.
    func makeReadOnly() throws {
        try #require(mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), "size=\(size),mode=755") == 0)
    }

    var free: Int {
        var status = statvfs()
        return statvfs(path, &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : 0
    }

    private var filler: String { path + "/filler" }

    /// Takes all but `rest` bytes.
    func fill(leaving rest: Int = 0) throws {
        let descriptor = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let chunk = [UInt8](repeating: 1, count: 1 << 16)
        while true {
            let room = min(chunk.count, free - rest)
            guard room > 0, write(descriptor, chunk, room) > 0 else { return }
        }
    }

    /// Gives back what `fill` took.
    func empty() { unlink(filler) }

    func remove() {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }
}

extension Tool {
    /// Runs a script of the shell, `$TOOL` being the program; output and errors are pipes, which no limit of a file's size meets.
    func shell(_ script: String, _ arguments: [String] = [], input: FileHandle? = nil) throws -> Result {
        var tool = self
        tool.environment["TOOL"] = Self.executable.path
        let (process, output, errors) = try tool.start(
            ["-c", script, "sh"] + arguments, input: input, program: URL(filePath: "/bin/sh"))
        return try Self.result(of: process, output, errors)
    }

    /// What a process that was started said, when it has ended. Little is said on standard error, so it never waits.
    static func result(of process: Process, _ output: Pipe, _ errors: Pipe) throws -> Result {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let signaled = process.terminationReason == .uncaughtSignal
        return Result(
            status: (signaled ? 256 : 0) + process.terminationStatus, output: data, errors: said)
    }

    /// All files below a folder of the test's, by their paths in it.
    func files(below name: String) -> [String] {
        (FileManager.default.enumerator(atPath: name.hasPrefix("/") ? name : path(name))?.allObjects as? [String] ?? [])
            .sorted()
    }

    /// The token ids of an answer.
    func tokens(_ arguments: String...) throws -> [Int] {
        let result = try run(arguments + ["--max-tokens", "8", "--json"])
        #expect(result.status == 0, "\(result.errors)")
        return try #require(try result.object()["token_ids"] as? [Int])
    }
}
