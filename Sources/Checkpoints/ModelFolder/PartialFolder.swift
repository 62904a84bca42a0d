import Foundation
import Glibc
import SystemCalls
import Tensors

/// A new folder, written as `<folder>.partial` and renamed when it is complete.
///
/// A lock file in it distinguishes a running writer from a killed one, whose files the next run removes.
package final class PartialFolder {
    private static let lockName = ".longtake-writing"
    let folder: String
    /// The path to write to until `finish()`: `<folder>.partial`.
    package let path: String
    private let lock: Int32

    /// Creates and locks the partial folder; throws `folder_not_empty` or `write_failed`.
    package init(for folder: String) throws {
        var folder = folder
        while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        let last = folder.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard !last.isEmpty, last != ".", last != "..", !folder.utf8.contains(0) else {
            throw CheckpointError.writeFailed(folder, "creating it", "this is not a valid name for a new folder")
        }
        try Self.checkEmpty(folder)
        self.folder = folder
        path = folder + ".partial"
        try Self.removeLeftovers(path)
        guard mkdir(path, 0o755) == 0 else {
            throw CheckpointError.writeFailed(path, "creating it", systemText(errno))
        }
        lock = open(path + "/" + Self.lockName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw CheckpointError.writeFailed(path + "/" + Self.lockName, "locking", systemText(errno))
        }
    }

    /// Bytes that this user may still write to the file system.
    package func freeBytes() throws -> Int64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else {
            throw CheckpointError.writeFailed(path, "reading the free space", systemText(errno))
        }
        let (bytes, overflow) = Int64(clamping: info.f_bavail).multipliedReportingOverflow(by: Int64(info.f_frsize))
        return overflow ? .max : bytes
    }

    /// Writes and syncs a small file; creates one level of subfolder if `name` has it.
    package func write(_ name: String, _ text: String) throws {
        if let slash = name.lastIndex(of: "/") {
            let inner = path + "/" + name[..<slash]
            guard mkdir(inner, 0o755) == 0 || errno == EEXIST else {
                throw CheckpointError.writeFailed(inner, "creating it", systemText(errno))
            }
        }
        try Self.writeFile(path + "/" + name, text)
    }

    /// Renames the folder to its final name; throws `folder_not_empty` if the name was taken meanwhile.
    package func finish() throws {
        try Self.sync(path)
        guard rename(path, folder) == 0 else {
            let reason = systemText(errno)
            try Self.checkEmpty(folder)
            throw CheckpointError.writeFailed(folder, "rename", reason)
        }
        unlink(folder + "/" + Self.lockName)
        let slash = folder.lastIndex(of: "/")
        let parent = slash.map { String(folder[..<$0]) } ?? "."
        try Self.sync(parent.isEmpty ? "/" : parent)
    }

    /// Removes everything written; ignores errors.
    package func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }

    deinit {
        guard lock >= 0 else { return }
        _ = flock(lock, LOCK_UN)
        close(lock)
    }

    /// Creates `path` with `text` and syncs it; throws `write_failed`, also if it exists.
    package static func writeFile(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CheckpointError.writeFailed(path, "creating it", systemText(errno)) }
        defer { close(descriptor) }
        do {
            try SystemCall.writeAll(descriptor, Array(text.utf8))
            try SystemCall.sync(descriptor)
        } catch {
            throw CheckpointError.writeFailed(path, "write", "\(error)")
        }
    }

    private static func sync(_ folder: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CheckpointError.writeFailed(folder, "opening it", systemText(errno)) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw CheckpointError.writeFailed(folder, "fsync", systemText(errno)) }
    }

    /// Throws `folder_not_empty` unless `folder` does not exist or is an empty folder.
    private static func checkEmpty(_ folder: String) throws {
        var info = stat()
        guard lstat(folder, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            throw CheckpointError.folderNotEmpty(folder, "there is a file of this name")
        }
        if let first = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().first {
            throw CheckpointError.folderNotEmpty(folder, "the folder has a file \"\(first)\"")
        }
    }

    /// Removes the partial folder of a killed writer; throws if its writer still runs or if it is not ours.
    private static func removeLeftovers(_ path: String) throws {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        if info.st_mode & S_IFMT == S_IFDIR, rmdir(path) == 0 { return }
        let descriptor = open(path + "/" + lockName, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            throw CheckpointError.folderNotEmpty(path, "this path has files that an interrupted run did not write")
        }
        defer {
            _ = flock(descriptor, LOCK_UN)
            close(descriptor)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw CheckpointError.folderNotEmpty(path, "another run is still writing to it")
        }
        try FileManager.default.removeItem(atPath: path)
    }
}
