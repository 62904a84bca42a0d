import Glibc
import SystemCalls
internal import Tensors

/// Resolves file names in a model folder; refuses names and links that lead out of it.
///
/// The only exception is the blob store of a Hugging Face hub cache: every snapshot file there is a link to
/// `../../blobs/<etag>` (newer clients: `<cache>/blobs/…`).
package enum FolderPath {
    /// The real path of `name` in `folder`; nil if the file does not exist; throws `path_refused`.
    package static func resolve(_ name: String, in folder: String) throws -> String? {
        if let reason = refusal(of: name) { throw WeightsError.pathRefused(folder, name, reason) }
        guard let root = real(folder) else { return nil }
        guard let path = real(root + "/" + name) else { return nil }
        if path.hasPrefix(root == "/" ? "/" : root + "/") { return path }
        for allowed in hubBlobFolders(of: root) where path.hasPrefix(allowed + "/") { return path }
        throw WeightsError.pathRefused(folder, name, "it is a link that leads out of the folder, to \(path)")
    }

    /// The reason why a file name from an index is refused; nil if it is allowed.
    package static func refusal(of name: String) -> String? {
        if name.isEmpty { return "it is empty" }
        if name.utf8.contains(0) { return "it has a NUL in it" }
        if name.utf8.count > 1024 { return "it is longer than 1024 bytes" }
        if name.hasPrefix("/") { return "it is an absolute path" }
        if name.split(separator: "/", omittingEmptySubsequences: false).contains("..") {
            return "it leads out of the folder"
        }
        return nil
    }

    /// The path with links, `.` and `..` resolved; nil if it does not exist.
    package static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The two folders that links in `<cache>/models--org--name/snapshots/<commit>[/…]` may lead to; empty for other
    /// folders.
    private static func hubBlobFolders(of root: String) -> [String] {
        var parts = root.split(separator: "/", omittingEmptySubsequences: false)
        while parts.count >= 4 {
            if parts[parts.count - 2] == "snapshots", parts[parts.count - 3].hasPrefix("models--") {
                let model = parts.dropLast(2).joined(separator: "/")
                let cache = parts.dropLast(3).joined(separator: "/")
                return [model + "/blobs", cache + "/blobs"]
            }
            parts.removeLast()
        }
        return []
    }

    /// True if `path` is a folder or a link to one.
    package static func isFolder(_ path: String) -> Bool {
        (try? SystemCall.status(of: path)).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }

    /// Reads a small file completely; nil if it does not exist.
    ///
    /// - Parameter limit: the largest size accepted, in bytes.
    /// - Throws: `path_refused`, `too_large` or `file_unreadable`.
    package static func read(_ name: String, in folder: String, limit: Int) throws -> [UInt8]? {
        guard let path = try resolve(name, in: folder) else { return nil }
        do {
            let descriptor = try SystemCall.open(path, O_RDONLY | O_NONBLOCK)
            defer { close(descriptor) }
            let info = try SystemCall.status(descriptor)
            guard info.st_mode & S_IFMT == S_IFREG else {
                throw WeightsError.fileUnreadable(path, "it is not a regular file")
            }
            guard info.st_size <= limit else {
                throw WeightsError(
                    .tooLarge, "\(path): is \(info.st_size) bytes, the limit for this file is \(limit)")
            }
            guard let content = try SystemCall.contents(descriptor, limit: limit) else {
                throw WeightsError(.tooLarge, "\(path): grew beyond \(limit) bytes while it was read")
            }
            return content
        } catch let error as SystemError {
            throw WeightsError.fileUnreadable(path, "\(error)")
        }
    }
}
