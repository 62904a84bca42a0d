import Glibc

/// An index as one archive.
package struct IndexArchive {
    /// The manifest of the index.
    package let manifest: Manifest
    /// Size of the archive in bytes.
    package let bytes: Int64
    /// False for an archive that was there already.
    package let isNew: Bool
}

// An archive has the manifest and the files that it lists; see docs/index-format.md.
extension CacheDirectory {
    /// Writes an index to the archive `path`, unless that is there already, whole and the same.
    ///
    /// All data is verified first. The index is not evicted meanwhile; a writer that changes it ends the export.
    ///
    /// - Parameter progress: gets numbers of bytes as they are read; an error it throws ends the export.
    /// - Throws: `StoreError` `.notFound`, `.damaged`, `.newerFormat`, `.locked` if the index changes, `.noSpace`, `.io`.
    package func export(
        indexID: String, to path: String, progress: (Int) throws -> Void = { _ in }
    ) throws -> IndexArchive {
        let source = try IndexExport(directory: directory(indexID))
        if let bytes = source.isArchived(in: path, progress: progress) {
            return IndexArchive(manifest: source.manifest, bytes: bytes, isNew: false)
        }
        try source.verify(progress)
        try CheckedArchive.write(
            source.names, in: source.directory, to: path, progress: progress, check: source.checkUnchanged)
        return IndexArchive(
            manifest: source.manifest, bytes: Int64(try Posix.status(of: path).st_size), isNew: true)
    }

    /// Writes an index as an archive to an open file or pipe; as `export(indexID:to:progress:)`.
    ///
    /// - Parameter name: what messages call the descriptor.
    package func export(
        indexID: String, toDescriptor descriptor: Int32, name: String, progress: (Int) throws -> Void = { _ in }
    ) throws -> IndexArchive {
        let source = try IndexExport(directory: directory(indexID))
        try source.verify(progress)
        var bytes: Int64 = Int64(ArchiveReader.blockBytes)
        try CheckedArchive.write(
            source.names, in: source.directory, toDescriptor: descriptor, name: name,
            progress: {
                bytes += Int64($0)
                try progress($0)
            }, check: source.checkUnchanged)
        return IndexArchive(manifest: source.manifest, bytes: bytes, isNew: true)
    }

    private func directory(_ indexID: String) throws -> String {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        return path(indexID: indexID)
    }
}

/// An index that is being exported.
private struct IndexExport {
    let directory: String
    let manifest: Manifest
    /// Opening it checks all headers and record heads; it also keeps the index from being evicted.
    private let reader: IndexReader
    private let stamp: [UInt8]

    init(directory: String) throws {
        self.directory = directory
        reader = try IndexReader(directory: directory)
        manifest = reader.manifest
        stamp = Posix.contents(directory + "/" + ManifestFile.name, limit: ManifestFile.maxBytes) ?? []
    }

    /// The manifest first, so that a reader knows the index before its data arrives.
    var names: [String] {
        [ManifestFile.name] + manifest.fileNames.filter { $0 != ManifestFile.name }.sorted()
    }

    /// Reads all data and compares it with its checksums.
    func verify(_ progress: (Int) throws -> Void) throws {
        try CacheDirectory.verifyData(directory, manifest, progress)
    }

    /// Throws if the index is no longer what it was: its writer removes the manifest before it replaces files.
    func checkUnchanged() throws {
        guard Posix.contents(directory + "/" + ManifestFile.name, limit: ManifestFile.maxBytes) == stamp else {
            throw StoreError.changedMeanwhile(directory)
        }
        withExtendedLifetime(reader) {}
    }

    /// Returns the size of the archive at `path` if it is intact and has this very index.
    func isArchived(in path: String, progress: (Int) throws -> Void) -> Int64? {
        guard let status = Posix.linkStatus(path), Posix.isRegular(status),
            let first = try? CheckedArchive.firstFile(path, limit: ManifestFile.maxBytes), first.bytes == stamp,
            let entries = try? CheckedArchive.verify(path, progress: progress), entries.map(\.name) == names
        else { return nil }
        return Int64(status.st_size)
    }
}

extension CacheDirectory {
    /// Reads the data of all files of an index and throws `StoreError` `.damaged` for the first damage.
    static func verifyData(
        _ directory: String, _ manifest: Manifest, _ progress: (Int) throws -> Void
    ) throws {
        for file in sealedFiles(directory, manifest: manifest) {
            let reader = try SegmentReader(directory: directory, number: file.number, stream: file.stream)
            guard reader.summary == file.summary else {
                throw StoreError.damagedSegment(reader.path, "not the one in the manifest")
            }
            if let fault = try reader.damagedRecords(progress: progress).first {
                throw StoreError.damagedFrame(reader.path, frame: fault.frame, fault.reason)
            }
        }
    }
}
