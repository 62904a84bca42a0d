import Glibc
import SystemCalls

// A file in the cache that is not a regular file is damage: it is not waited for, not followed and not written through.
extension Posix {
    /// Opens a file that must be a regular file; never blocks on a pipe or device.
    ///
    /// Throws `StoreError` `.damaged` for a named pipe, socket, device, symbolic link or folder.
    static func openRegular(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> Int32 {
        let descriptor: Int32
        do {
            descriptor = try open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode: mode)
        } catch let error as StoreError {
            // ELOOP, ENXIO, EISDIR and ENODEV mean that it is not a regular file.
            if let kind = otherKind(path) { throw StoreError.notRegular(path, kind) }
            throw error
        }
        do {
            let found = try status(descriptor, path: path)
            if let kind = FileKind.name(ofOther: found.st_mode) { throw StoreError.notRegular(path, kind) }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Opens a lock file or another file without content; anything else at `path` is removed.
    static func openOrRecreate(_ path: String, _ flags: Int32) throws -> Int32 {
        do {
            return try openRegular(path, flags)
        } catch let error as StoreError where error.code == .damaged {
            try remove(path)
            return try openRegular(path, flags)
        }
    }

    /// Returns the contents of a small file; nil if there is none or it cannot be read.
    static func contents(_ path: String, limit: Int) -> [UInt8]? {
        guard let descriptor = try? openRegular(path, O_RDONLY) else { return nil }
        defer { close(descriptor) }
        return (try? SystemCall.contents(descriptor, limit: limit)) ?? nil
    }

    /// Describes what is at `path` if it is not a regular file; nil for a regular file or if nothing is there.
    static func otherKind(_ path: String) -> String? {
        linkStatus(path).flatMap { FileKind.name(ofOther: $0.st_mode) }
    }

    /// Removes a folder with everything in it; links are not followed.
    static func removeTree(_ path: String) throws {
        for name in try names(in: path) {
            let child = path + "/" + name
            if let status = linkStatus(child), isDirectory(status) { try removeTree(child) } else { try remove(child) }
        }
        try removeDirectory(path)
    }
}
