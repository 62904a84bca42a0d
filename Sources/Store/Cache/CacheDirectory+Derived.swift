import Foundation
import Glibc
import SystemCalls

extension CacheDirectory {
    /// Makes room for `bytes` more in `derived/` within `limit` bytes, removing the least recently read files first.
    ///
    /// Returns false if `bytes` is more than `limit` or more than half the free space of the file system.
    public func makeDerivedRoom(for bytes: Int64, limit: Int64) throws -> Bool {
        guard bytes <= limit, try freeBytes() / 2 >= bytes else { return false }
        try removeDeadDerived()
        var used = try derivedBytes()
        for file in try derivedFiles() where used > limit - bytes {
            try Posix.remove(file.path)
            used -= file.bytes
        }
        return true
    }

    /// Returns the path of a file in `derived/` that belongs to an index.
    public func derivedPath(indexID: String, name: String) -> String { "\(derivedPath)/\(indexID).\(name)" }

    /// Returns the size in bytes of the files derived from an index.
    public func derivedBytes(indexID: String) -> Int64 {
        ((try? Posix.names(in: derivedPath)) ?? []).filter { $0.hasPrefix(indexID + ".") }.reduce(0) {
            $0 + Int64((try? SystemCall.status(of: "\(derivedPath)/\($1)"))?.st_size ?? 0)
        }
    }

    /// Returns the size in bytes of derived files by index ID.
    public func derivedBytesByIndex() -> [String: Int64] {
        ((try? Posix.names(in: derivedPath)) ?? []).reduce(into: [:]) { sizes, name in
            guard let dot = name.firstIndex(of: "."),
                let status = try? SystemCall.status(of: "\(derivedPath)/\(name)")
            else { return }
            sizes[String(name[..<dot]), default: 0] += Int64(status.st_size)
        }
    }

    /// Removes the derived files of an index that is being removed.
    func removeDerived(indexID: String) {
        for name in (try? Posix.names(in: derivedPath)) ?? [] where name.hasPrefix(indexID + ".") {
            unlink(derivedPath + "/" + name)
        }
    }
}
