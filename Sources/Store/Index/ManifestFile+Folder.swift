import Foundation
import Glibc

extension ManifestFile {
    /// Returns the format version in a manifest file; nil if it cannot be read.
    static func version(directory: String) -> Int? {
        struct Version: Decodable { var format: Int }
        guard let bytes = Posix.contents(directory + "/" + name, limit: 64 << 20) else { return nil }
        return try? JSONDecoder().decode(Version.self, from: Data(bytes)).format
    }

    /// Removes frame files not listed in the manifest and leftovers of dead processes; the lock must be held.
    static func removeOtherFiles(directory: String, manifest: Manifest) throws {
        let known = manifest.fileNames
        var removed = false
        for name in try Posix.names(in: directory) where !known.contains(name) && !name.hasPrefix(".") {
            guard [".seg", ".pat", ".tmp"].contains(where: { name.hasSuffix($0) }) else { continue }
            try Posix.remove(directory + "/" + name)
            CrashPoint.reach(.patchesRemoved)
            removed = true
        }
        if removed { try Posix.syncDirectory(directory) }
    }
}
