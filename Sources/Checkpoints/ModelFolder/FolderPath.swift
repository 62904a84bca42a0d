import Glibc
internal import Tensors

/// Where a file of a model folder really lies, refusing names and links that lead out of the folder.
///
/// The one place outside that is allowed is the blob store of a Hugging Face hub cache, where every snapshot file is a
/// link to `../../blobs/<etag>` (or, with newer clients, to `<cache>/blobs/…`).
package enum FolderPath {
    /// The real path of `name` in `folder`; nil if there is no such file; throws `path_refused`.
    package static func resolve(_ name: String, in folder: String) throws -> String? {
        if let reason = refusal(of: name) { throw WeightsError.pathRefused(folder, name, reason) }
        guard let root = real(folder) else { return nil }
        guard let path = real(root + "/" + name) else { return nil }
        if path.hasPrefix(root == "/" ? "/" : root + "/") { return path }
        for allowed in hubBlobFolders(of: root) where path.hasPrefix(allowed + "/") { return path }
        throw WeightsError.pathRefused(folder, name, "it is a link that leads out of the folder, to \(path)")
    }

    /// Why a file name from an index may not be used; nil if it may.
    static func refusal(of name: String) -> String? {
        if name.isEmpty { return "it is empty" }
        if name.utf8.contains(0) { return "it has a NUL in it" }
        if name.utf8.count > 1024 { return "it is longer than 1024 bytes" }
        if name.hasPrefix("/") { return "it is an absolute path" }
        if name.split(separator: "/", omittingEmptySubsequences: false).contains("..") {
            return "it leads out of the folder"
        }
        return nil
    }

    /// The path without links, `.` and `..`; nil if nothing is there.
    package static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// For `<cache>/models--org--name/snapshots/<commit>[/…]`: the two folders its links may lead to.
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

    package static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// A small file of a folder, whole; nil if there is none; throws `path_refused`, `too_large`, `file_unreadable`.
    package static func read(_ name: String, in folder: String, limit: Int) throws -> [UInt8]? {
        guard let path = try resolve(name, in: folder) else { return nil }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw WeightsError.fileUnreadable(path, systemText(errno)) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw WeightsError.fileUnreadable(path, systemText(errno)) }
        guard info.st_mode & S_IFMT == S_IFREG else {
            throw WeightsError.fileUnreadable(path, "it is not a regular file")
        }
        guard info.st_size <= limit else {
            throw WeightsError(.tooLarge, "\(path): is \(info.st_size) bytes, the limit for this file is \(limit)")
        }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while content.count <= limit {
            let got = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw WeightsError.fileUnreadable(path, systemText(errno)) }
            if got == 0 { return content }
            content.append(contentsOf: buffer[..<got])
        }
        throw WeightsError(.tooLarge, "\(path): grew beyond \(limit) bytes while it was read")
    }
}
