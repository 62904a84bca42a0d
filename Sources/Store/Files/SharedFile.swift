import Glibc
import SystemCalls

/// Files on storage that several machines use at once, such as NFS.
package enum SharedFile {
    /// Writes a small file atomically; the last writer wins.
    ///
    /// - Throws: `StoreError` `.noSpace`, `.io`.
    package static func replace(_ path: String, with bytes: [UInt8]) throws { try Posix.replace(path, with: bytes) }

    /// Gives a complete temporary file its final name, unless that exists; returns false if it exists.
    ///
    /// One hard link decides which of several writers wins. A lost reply of NFS can report a link that was made as
    /// existing: the number of links tells. Without hard links a rename decides; the last writer wins then, with the same
    /// contents.
    /// - Parameters:
    ///   - temporary: a file in the same folder, flushed; it stays, for the caller to remove.
    ///   - isIntact: whether the existing file can stay; else it is replaced.
    /// - Throws: `StoreError` `.noSpace`, `.io`.
    package static func publish(_ temporary: String, as path: String, isIntact: () -> Bool) throws -> Bool {
        let made = try Posix.link(temporary, to: path)
        switch made {
        case true?: break
        case false?:
            if (try? Posix.status(of: temporary))?.st_nlink == 2 { break }
            if isIntact() { return false }
            try Posix.rename(temporary, to: path)
        case nil:
            if Posix.linkStatus(path) != nil, isIntact() { return false }
            try Posix.rename(temporary, to: path)
        }
        try Posix.syncDirectory(Posix.parent(of: path))
        return true
    }
}
