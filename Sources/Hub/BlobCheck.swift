internal import Glibc
internal import SystemCalls

/// Compares the files of cached models with the hashes that name them.
package enum BlobCheck {
    /// What was found in one model.
    package struct Report: Sendable {
        /// "org/name".
        package let name: String
        /// Number of blobs read.
        package let files: Int
        /// Bytes read.
        package let bytes: Int64
        /// The files whose bytes have another hash, and links that lead nowhere; paths in the model's folder.
        package let damaged: [String]
    }

    /// Reads all blobs of a model.
    ///
    /// - Parameters:
    ///   - check: called often; throws to stop.
    ///   - progress: gets the number of bytes read so far.
    package static func run(
        _ model: CachedModel, check: () throws -> Void, progress: (Int64) -> Void
    ) throws -> Report {
        var (files, bytes, damaged): (Int, Int64, [String]) = (0, 0, [])
        let blobs = CachedModel.names(in: model.path + "/blobs").filter {
            HubName.isHash($0, digits: 40) || HubName.isHash($0, digits: 64)
        }
        for blob in blobs.sorted() {
            let path = model.path + "/blobs/" + blob
            files += 1
            let before = bytes
            let isIntact = try isIntact(path, name: blob) { read in
                bytes += read
                progress(bytes)
                try check()
            }
            if bytes == before { try check() }
            if !isIntact { damaged.append("blobs/" + blob) }
        }
        for revision in model.revisions {
            damaged += CachedModel.names(in: revision.path).sorted().filter {
                HubCache.target(of: revision.path + "/" + $0) != nil && access(revision.path + "/" + $0, F_OK) != 0
            }.map { "snapshots/\(revision.commit)/\($0)" }
        }
        return Report(name: model.name, files: files, bytes: bytes, damaged: damaged)
    }

    static func isIntact(_ path: String, name: String, check: () throws -> Void) throws -> Bool {
        try isIntact(path, name: name) { (_: Int64) in try check() }
    }

    private static func isIntact(_ path: String, name: String, progress: (Int64) throws -> Void) throws -> Bool {
        guard let descriptor = try? SystemCall.open(path, O_RDONLY | O_NONBLOCK) else { return false }
        defer { close(descriptor) }
        guard let status = try? SystemCall.status(descriptor), status.st_mode & S_IFMT == S_IFREG else { return false }
        let size = Int64(status.st_size)
        let hash = BlobHash(like: name, size: size)
        do {
            try hash.update(file: descriptor, count: size, progress: progress)
        } catch is SystemError {
            return false
        }
        return hash.digits() == name
    }
}
