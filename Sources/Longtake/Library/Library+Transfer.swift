internal import Foundation
internal import Glibc
internal import Store
internal import SystemCalls

/// An index that was exported or imported, as printed by `longtake cache export` and `import`.
package struct TransferredIndex: Sendable, Encodable {
    package let messageType = "verbose_status"
    /// `new`, `replaced` or `unchanged`.
    package let action: String
    /// The archive.
    package let item: String
    /// Recording ID.
    package let id: String
    /// Index ID.
    package let index: String
    /// The recording's path when it was indexed.
    package let path: String
    /// Number of frames.
    package let frames: Int
    /// Size of the index in bytes.
    package let bytes: Int64
    /// The state of the index.
    package let state: IndexState

    private enum CodingKeys: String, CodingKey {
        case messageType = "message_type"
        case action, item, id, index, path, frames, bytes, state
    }

    init(_ manifest: Manifest, action: String, item: String) {
        self.action = action
        self.item = item
        id = Library.id(content: manifest.key.content)
        index = manifest.key.id
        path = manifest.path.isEmpty ? manifest.name : manifest.path
        frames = manifest.frames
        bytes = manifest.bytes
        state = manifest.indexState
    }
}

// Indexes move between caches as archives, one for each: `CheckedArchive`.
extension Library {
    /// The end of an archive's file name.
    package static let archiveSuffix = ".tar"
    /// The code of the failure if nobody reads what is exported.
    package static let brokenPipe = "broken_pipe"

    /// Writes an index to `<folder>/<index ID>.tar`; an archive that is there, whole and the same, is left.
    ///
    /// - Parameter progress: gets the number of bytes read so far.
    package func export(
        index: String, to folder: String, cancellation: Cancellation, progress: @escaping (Int64) -> Void
    ) throws -> TransferredIndex {
        try makeFolder(folder)
        let path = (folder.hasSuffix("/") ? folder : folder + "/") + index + Self.archiveSuffix
        let archive = try cache.export(
            indexID: index, to: path, progress: Self.counting(cancellation, progress))
        return TransferredIndex(archive.manifest, action: archive.isNew ? "new" : "unchanged", item: path)
    }

    /// Writes an index as an archive to an open file or pipe, after which another may follow.
    ///
    package func export(
        index: String, toDescriptor descriptor: Int32, name: String, progress: @escaping (Int64) -> Void
    ) throws -> TransferredIndex {
        do {
            let archive = try cache.export(
                indexID: index, toDescriptor: descriptor, name: name, progress: Self.counting(Cancellation(), progress))
            return TransferredIndex(archive.manifest, action: "new", item: name)
        } catch let error as StoreError where (error.underlying as? SystemError)?.number == EPIPE {
            throw Failure(code: Self.brokenPipe, message: error.message, exitCode: Exit.space)
        }
    }

    private func makeFolder(_ folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure(
                code: "io", message: "\(folder): cannot create the folder for the archives", exitCode: Exit.space)
        }
    }

    /// Returns the archives that paths stand for: files as they are, of a folder all `*.tar` in it, by name.
    ///
    /// - Throws: `Failure` for a folder without archives.
    package static func archives(_ paths: [String]) throws -> [String] {
        try paths.flatMap { path in
            guard InputPath(path).isFolder else { return [path] }
            let found = try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { $0.hasSuffix(archiveSuffix) && !$0.hasPrefix(".") }.sorted()
            guard !found.isEmpty else {
                throw Failure(
                    code: "no_archives", message: "\(path): no archives (*\(archiveSuffix)) in this folder",
                    exitCode: Exit.input)
            }
            return found.map { (path.hasSuffix("/") ? path : path + "/") + $0 }
        }
    }

    /// Imports the index in an archive.
    ///
    /// - Parameter progress: gets the number of bytes read so far.
    /// - Throws: `Failure`: exit status 14 if there is no such file, 17 for a damaged archive, 12 for one of a newer
    ///   version, 11 if the cache's own index is in use, 13 without room.
    package func importIndex(
        _ path: String, cancellation: Cancellation, progress: @escaping (Int64) -> Void
    ) throws -> TransferredIndex {
        do {
            if let known = try cache.holds(path) {
                try register(imported: known)
                return TransferredIndex(known, action: IndexImport.Action.unchanged.rawValue, item: path)
            }
            let archive = try ArchiveReader(path: path)
            let bytes = Int64((try? SystemCall.status(of: path))?.st_size ?? 0)
            return try importIndex(archive, bytes: bytes, cancellation, progress)
        } catch let error as StoreError {
            throw Self.failure(error, path)
        }
    }

    /// Imports the indexes in a stream of archives, and passes each to `body`, or why it was not imported.
    ///
    /// - Throws: `Failure` if the rest of the stream cannot be read.
    package func importIndexes(
        fromDescriptor descriptor: Int32, name: String, cancellation: Cancellation, progress: @escaping (Int64) -> Void,
        _ body: (Result<TransferredIndex, Failure>) -> Void
    ) throws {
        let archive = ArchiveReader(descriptor: descriptor, name: name)
        archive.whileWaiting = { try cancellation.check() }
        do {
            repeat {
                do {
                    body(.success(try importIndex(archive, bytes: nil, cancellation, progress)))
                } catch let error as StoreError where archive.isBetweenArchives && error.code != .interrupted {
                    body(.failure(Self.failure(error, name)))
                }
            } while try !archive.isAtEnd()
        } catch let error as StoreError {
            throw Self.failure(error, name)
        }
    }

    private func importIndex(
        _ archive: ArchiveReader, bytes: Int64?, _ cancellation: Cancellation, _ progress: @escaping (Int64) -> Void
    ) throws -> TransferredIndex {
        let budget = CacheBudget(cache: cache, limit: try cacheLimit(), usage: usage)
        let done = try cache.importIndex(
            archive, bytes: bytes, budget: budget, progress: Self.counting(cancellation, progress))
        try register(imported: done.manifest)
        return TransferredIndex(done.manifest, action: done.action.rawValue, item: archive.name)
    }

    /// Adds an imported index to the catalog, unless it is there.
    private func register(imported manifest: Manifest) throws {
        guard try catalog.rows(indexID: manifest.key.id).isEmpty else { return }
        var row = Catalog.RecordingRow(manifest)
        row.device = Catalog.RecordingRow.elsewhere
        try catalog.upsert(row)
    }

    /// The failure for an archive: what repairs a cache does not repair it.
    private static func failure(_ error: StoreError, _ name: String) -> Failure {
        switch error.code {
        case .damaged: Failure(code: "damaged", message: error.message, exitCode: Exit.damaged)
        case .notFound: Failure(code: "not_found", message: error.message, exitCode: Exit.input)
        case .olderFormat:
            Failure(code: error.code.rawValue, message: "\(name): \(error.message)", exitCode: Exit.model)
        default: Failure(error, subject: name)
        }
    }

    /// Adds up numbers of bytes for `progress`, and throws once the flag is set.
    private static func counting(
        _ cancellation: Cancellation, _ progress: @escaping (Int64) -> Void
    ) -> (Int) throws -> Void {
        var total: Int64 = 0
        return { bytes in
            total += Int64(bytes)
            progress(total)
            try cancellation.check()
        }
    }
}
