import Glibc
import SystemCalls

/// A tar archive of plain files that ends with its own SHA-256.
///
/// Format: a ustar archive of regular files without folders, mode 0600, owner 0, time 0; two empty blocks; one block of
/// 512 bytes with `longtake-sha256 `, the SHA-256 of all preceding bytes in hex, a line feed and zeros. The same files
/// in the same order give the same bytes. An archive shows its own end, so several may follow each other in a stream.
/// `tar` reads it as well: it stops at the empty blocks.
package enum CheckedArchive {
    private static let mark = "longtake-sha256 "

    /// Writes files of `folder` to `path`: temporary file, flush, rename, flush of the folder.
    ///
    /// Temporary files of killed writers of the same archive are removed.
    ///
    /// - Parameter names: the files in the archive's order; letters, digits, ".", "_" and "-", at most 100 of them.
    /// - Parameter progress: called with numbers of bytes as they are written; what it throws ends the writing.
    /// - Parameter check: called before the archive becomes valid; what it throws ends the writing.
    /// - Throws: `StoreError` `.notFound` for a missing file, `.noSpace`, `.badKey` for a name that no archive can
    ///   have, `.io`, also if a file changes meanwhile or is larger than 8 GiB.
    package static func write(
        _ names: [String], in folder: String, to path: String, progress: (Int) throws -> Void = { _ in },
        check: () throws -> Void = {}
    ) throws {
        let file = try TemporaryFile(replacing: path)
        try write(names, in: folder, name: path, progress: progress, check: check) {
            try Posix.write(file.descriptor, $0, path: file.path)
        }
        try file.publish()
    }

    /// Writes files of `folder` as one archive to an open file or pipe; as `write(_:in:to:progress:)`.
    ///
    /// SIGPIPE must be ignored or blocked; a pipe without a reader is an error then (`.io`).
    ///
    /// - Parameter name: what messages call the descriptor.
    package static func write(
        _ names: [String], in folder: String, toDescriptor descriptor: Int32, name: String,
        progress: (Int) throws -> Void = { _ in }, check: () throws -> Void = {}
    ) throws {
        try write(names, in: folder, name: name, progress: progress, check: check) {
            try Posix.write(descriptor, $0, path: name)
        }
    }

    private static func write(
        _ names: [String], in folder: String, name: String, progress: (Int) throws -> Void, check: () throws -> Void,
        to output: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard !names.isEmpty, names.count <= ArchiveReader.maxEntries, Set(names).count == names.count else {
            throw StoreError.notArchivable(name, "\(names.count) files")
        }
        let wanted = try names.map { file in
            guard ArchiveReader.isPlain(file.utf8) else { throw StoreError.notArchivable(name, file.debugDescription) }
            let path = folder + "/" + file
            guard let status = Posix.linkStatus(path) else { throw StoreError.system(.last, "read", path) }
            if let kind = FileKind.name(ofOther: status.st_mode) { throw StoreError.notRegular(path, kind) }
            return ArchiveReader.Entry(name: file, bytes: Int64(status.st_size))
        }
        let tar = try TarProcess(
            [
                "--create", "--file=-", "--format=ustar", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
                "--mode=0600", "--hard-dereference", "--blocking-factor=128", "--directory=" + folder, "--",
            ] + names, .output)
        let reader = ArchiveReader(descriptor: tar.socket, name: "from tar")
        let hash = try RunningContentHash()
        var found: [ArchiveReader.Entry] = []
        do {
            found = try reader.readFiles(accept: { _ in }) {
                try hash.add($0)
                try output($0)
                try progress($0.count)
            }
            // The rest of tar's last record.
            while try !reader.isAtEnd() { _ = try reader.block(after: nil) }
        } catch let error as StoreError where error.code == .damaged {
            throw StoreError.tarFailed(name, tar.finish() ?? error.message)
        }
        if let reason = tar.finish() { throw StoreError.tarFailed(name, reason) }
        guard found == wanted else { throw StoreError.tarFailed(name, "a file changed while it was read") }
        try check()
        try trailer(hash).withUnsafeBytes(output)
    }

    /// Reads a whole archive and checks its SHA-256; returns its files.
    ///
    /// Throws `StoreError`: `.damaged`, `.notFound`, `.io`.
    @discardableResult
    package static func verify(
        _ path: String, progress: (Int) throws -> Void = { _ in }
    ) throws -> [ArchiveReader.Entry] {
        let reader = try ArchiveReader(path: path)
        let hash = try RunningContentHash()
        let entries = try reader.readFiles(accept: { _ in }) {
            try hash.add($0)
            try progress($0.count)
        }
        try checkTrailer(reader, hash)
        try requireEnd(reader)
        return entries
    }

    /// Extracts an archive into a folder without other files than hidden ones, reading it once; returns the names of its files.
    ///
    /// The files are flushed to the disk; their modes are 0600 and their times those of the extraction. After an error
    /// the folder may hold some of them: the caller removes it.
    ///
    /// - Parameter accept: called before the content of each file; what it throws ends the extraction.
    /// - Throws: `StoreError` `.damaged` for a wrong SHA-256, a truncated archive, anything after it and anything but
    ///   plain files; `.noSpace`, `.notFound`, `.io`.
    package static func extract(
        _ path: String, into folder: String, accept: (ArchiveReader.Entry) throws -> Void = { _ in },
        progress: (Int) throws -> Void = { _ in }
    ) throws -> [String] {
        let reader = try ArchiveReader(path: path)
        let names = try extract(next: reader, into: folder, accept: accept, progress: progress)
        try requireEnd(reader)
        return names
    }

    /// Extracts the next archive of a stream; as `extract(_:into:accept:progress:)`, but more may follow.
    package static func extract(
        next reader: ArchiveReader, into folder: String, accept: (ArchiveReader.Entry) throws -> Void = { _ in },
        progress: (Int) throws -> Void = { _ in }
    ) throws -> [String] {
        let tar = try TarProcess(
            [
                "--extract", "--file=-", "--no-same-owner", "--no-same-permissions", "--touch", "--keep-old-files",
                "--directory=" + folder,
            ], .input)
        let hash = try RunningContentHash()
        struct Ended: Error {}
        let entries: [ArchiveReader.Entry]
        do {
            entries = try reader.readFiles(accept: accept) {
                try hash.add($0)
                guard tar.send($0) else { throw Ended() }
                try progress($0.count)
            }
        } catch is Ended {
            throw StoreError.tarFailed(folder, tar.finish() ?? "tar: it ended early")
        }
        try checkTrailer(reader, hash)
        reader.isBetweenArchives = true
        if let reason = tar.finish() { throw StoreError.tarFailed(folder, reason) }
        guard try Posix.names(in: folder).filter({ !$0.hasPrefix(".") }) == entries.map(\.name).sorted() else {
            throw StoreError.tarFailed(folder, "it holds other files than the archive")
        }
        for entry in entries {
            let path = folder + "/" + entry.name
            let descriptor = try Posix.openRegular(path, O_RDONLY)
            defer { close(descriptor) }
            guard Int64(try Posix.status(descriptor, path: path).st_size) == entry.bytes else {
                throw StoreError.tarFailed(folder, "\(entry.name) has another size than in the archive")
            }
            try Posix.sync(descriptor, path: path)
        }
        try Posix.syncDirectory(folder)
        return entries.map(\.name)
    }

    /// Returns the first file of an archive, nil if it is larger than `limit`; the archive's SHA-256 is not checked.
    package static func firstFile(_ path: String, limit: Int) throws -> (entry: ArchiveReader.Entry, bytes: [UInt8])? {
        let reader = try ArchiveReader(path: path)
        struct Found: Error {}
        var first: ArchiveReader.Entry?
        var bytes: [UInt8] = []
        do {
            _ = try reader.readFiles(
                accept: { entry in
                    if first != nil || entry.bytes > Int64(limit) { throw Found() }
                    first = entry
                }, sink: { if first != nil { bytes += $0 } })
        } catch is Found {}
        guard let first else { return nil }
        return (first, Array(bytes.dropFirst(ArchiveReader.blockBytes).prefix(Int(first.bytes))))
    }

    private static func trailer(_ hash: RunningContentHash) throws -> [UInt8] {
        let line = Array((mark + (try hash.finish()) + "\n").utf8)
        return line + [UInt8](repeating: 0, count: ArchiveReader.blockBytes - line.count)
    }

    private static func checkTrailer(_ reader: ArchiveReader, _ hash: RunningContentHash) throws {
        let found: [UInt8]
        do {
            found = try reader.block(after: nil)
        } catch let error as StoreError where error.code == .damaged {
            throw reader.damaged("the block with its SHA-256 is missing")
        }
        guard found.starts(with: mark.utf8) else { throw reader.damaged("the block with its SHA-256 is missing") }
        guard try found == trailer(hash) else { throw reader.damaged("its content does not match its SHA-256") }
    }

    private static func requireEnd(_ reader: ArchiveReader) throws {
        guard try reader.isAtEnd() else { throw reader.damaged("something follows after its end") }
    }
}
