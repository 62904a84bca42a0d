import Foundation
import Glibc

extension CacheDirectory {
    /// Makes room for `bytes` more in `derived/`, where all files together may have `limit`: those not read for longest go.
    ///
    /// False where they do not fit at all, or the file system has not twice as much free.
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

    /// Where a file of `derived/` lies that belongs to an index.
    public func derivedPath(indexID: String, name: String) -> String { "\(derivedPath)/\(indexID).\(name)" }

    /// The bytes of what was derived from an index.
    public func derivedBytes(indexID: String) -> Int64 {
        ((try? Posix.names(in: derivedPath)) ?? []).filter { $0.hasPrefix(indexID + ".") }.reduce(0) {
            var status = stat()
            return stat("\(derivedPath)/\($1)", &status) == 0 ? $0 + Int64(status.st_size) : $0
        }
    }

    /// The bytes of what was derived, by index.
    public func derivedBytesByIndex() -> [String: Int64] {
        ((try? Posix.names(in: derivedPath)) ?? []).reduce(into: [:]) { sizes, name in
            var status = stat()
            guard let dot = name.firstIndex(of: "."), stat("\(derivedPath)/\(name)", &status) == 0 else { return }
            sizes[String(name[..<dot]), default: 0] += Int64(status.st_size)
        }
    }

    /// Removes what was derived from an index that goes.
    func removeDerived(indexID: String) {
        for name in (try? Posix.names(in: derivedPath)) ?? [] where name.hasPrefix(indexID + ".") {
            unlink(derivedPath + "/" + name)
        }
    }
}
