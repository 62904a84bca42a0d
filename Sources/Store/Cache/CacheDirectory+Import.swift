import Foundation
import Glibc

/// The result of importing an archive.
package struct IndexImport {
    /// What became of the cache's index.
    package enum Action: String, Sendable {
        /// The cache had no such index.
        case new
        /// It replaced a partial, unfinished or damaged one.
        case replaced
        /// The cache's own index is complete, or has no fewer frames than the archive's partial one.
        case unchanged
    }

    /// The manifest of the archive's index.
    package let manifest: Manifest
    /// What became of the cache's index.
    package let action: Action
}

// An archive is extracted into a folder beside the indexes, whose writer's lock is held from its creation on. The folder
// becomes the index by one rename, with the lock.
extension CacheDirectory {
    static let importPrefix = "import."

    /// Returns the manifest in an archive if the cache's index makes importing it unnecessary; reads only the manifest.
    package func holds(_ archive: String) throws -> Manifest? {
        guard let first = try CheckedArchive.firstFile(archive, limit: ManifestFile.maxBytes),
            first.entry.name == ManifestFile.name,
            let manifest = try? ManifestFile.decode(Data(first.bytes), path: archive)
        else { return nil }
        return keeps(insteadOf: manifest) ? manifest : nil
    }

    /// Imports the next archive of a file or stream.
    ///
    /// All data is verified before the index becomes visible.
    ///
    /// - Parameter bytes: the size of the archive, if it is known; room is then made at once.
    /// - Parameter progress: gets numbers of bytes as they are read; an error it throws ends the import.
    /// - Throws: `StoreError` `.damaged`, `.newerFormat` and `.olderFormat` for the archive's index, `.locked` if the
    ///   cache's own is being written or read, `.noSpace`, `.cacheFull`, `.io`.
    package func importIndex(
        _ archive: ArchiveReader, bytes: Int64? = nil, budget: CacheBudget, progress: (Int) throws -> Void = { _ in }
    ) throws -> IndexImport {
        for folder in try deadImports() { _ = try removeImport(folder) }
        let (folder, lock) = try makeImport()
        defer { lock.release() }
        do {
            let result = try importIndex(archive, in: folder, bytes, budget, progress)
            if result.action == .unchanged { try CacheDirectory.unlinkTree(folder) }
            return result
        } catch {
            try? CacheDirectory.unlinkTree(folder)
            throw error
        }
    }

    private func importIndex(
        _ archive: ArchiveReader, in folder: String, _ bytes: Int64?, _ budget: CacheBudget,
        _ progress: (Int) throws -> Void
    ) throws -> IndexImport {
        let name = String(folder.split(separator: "/").last ?? "")
        func makeRoom(_ needed: Int64) throws {
            try budget.makeRoom(for: needed, indexID: name)
            let free = try freeBytes()
            guard needed <= free else { throw StoreError.noRoom(path, needed: needed, free: free) }
        }
        if let bytes { try makeRoom(bytes) }
        let names = try CheckedArchive.extract(
            next: archive, into: folder, accept: { if bytes == nil { try makeRoom($0.bytes) } }, progress: progress)
        let manifest: Manifest
        do {
            manifest = try ManifestFile.load(directory: folder)
            guard Set(names) == manifest.fileNames else { throw archive.damaged("it has not the files of its index") }
            // Checks that all files belong to the index, and their record heads.
            _ = try IndexReader(directory: folder)
            try CacheDirectory.verifyData(folder, manifest, progress)
        } catch let error as StoreError where [.damaged, .notFound].contains(error.code) {
            // The folder's path says nothing to anybody.
            let reason = error.message.replacingOccurrences(of: folder + "/", with: "").replacingOccurrences(
                of: folder, with: "it")
            throw reason.contains(archive.name) ? error : archive.damaged(reason)
        }
        guard !keeps(insteadOf: manifest) else { return IndexImport(manifest: manifest, action: .unchanged) }
        let isReplaced = try publish(folder, indexID: manifest.key.id)
        return IndexImport(manifest: manifest, action: isReplaced ? .replaced : .new)
    }

    /// Returns true if the cache's own index of this key is at least as good.
    private func keeps(insteadOf new: Manifest) -> Bool {
        guard let own = try? IndexReader(directory: path(indexID: new.key.id)).manifest, own.key == new.key else {
            return false
        }
        return own.state == "complete" || new.state != "complete" && own.frames >= new.frames
    }

    /// Makes a folder the index of this ID; returns true if it replaced one.
    private func publish(_ folder: String, indexID: String) throws -> Bool {
        let target = path(indexID: indexID)
        guard Posix.linkStatus(target) != nil else {
            try move(folder, to: target)
            return false
        }
        let readers = try ReaderLock.exclusive(directory: target)
        defer { withExtendedLifetime(readers) {} }
        let previous = try setAside(indexID: indexID)
        do {
            try move(folder, to: target)
        } catch {
            try? previous?.restore()
            throw error
        }
        // They were computed from the frames of the index that is gone.
        removeDerived(indexID: indexID)
        try previous?.drop()
        return true
    }

    private func move(_ folder: String, to target: String) throws {
        do {
            try Posix.rename(folder, to: target)
        } catch {
            // A writer has just created it.
            throw Posix.linkStatus(target) != nil ? StoreError.locked(target) : error
        }
        try Posix.syncDirectory(indexesPath)
    }

    /// Creates the folder of an import, and takes its lock.
    private func makeImport() throws -> (folder: String, lock: IndexLock) {
        while true {
            let folder = "\(indexesPath)/\(Self.importPrefix)\(Checksum.hex(UInt64.random(in: 0 ... .max)))"
            try Posix.makeDirectory(folder)
            do {
                return (folder, try IndexLock(directory: folder))
            } catch let error as StoreError where [.locked, .notFound].contains(error.code) {
                // Another process took it for a leftover before it was locked.
                try? CacheDirectory.unlinkTree(folder)
            } catch {
                try? CacheDirectory.unlinkTree(folder)
                throw error
            }
        }
    }

    /// Returns the folders of imports whose processes are dead.
    func deadImports() throws -> [String] {
        try Posix.names(in: indexesPath).filter { $0.hasPrefix(Self.importPrefix) }.map { indexesPath + "/" + $0 }
            .filter { !IndexLock.isHeld(directory: $0) }
    }

    /// Removes the folder of a dead import; returns false if its process lives.
    func removeImport(_ folder: String) throws -> Bool {
        do {
            let lock = try IndexLock(directory: folder)
            defer { lock.release() }
            try moveToTrash(folder)
        } catch let error as StoreError where [.locked, .notFound].contains(error.code) {
            return false
        }
        try emptyTrash()
        return true
    }
}
