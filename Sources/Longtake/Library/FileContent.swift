internal import Media
internal import Store

/// A file and the hash of its content, checked while the path refers to that content.
final class FileContent {
    let file: RecordingFile
    /// SHA-256 in hex.
    let hash: String
    /// False if the hash was taken from the catalog.
    let isHashed: Bool
    /// The file's fingerprint when its content was last verified.
    private(set) var fingerprint: FileFingerprint
    /// When that was, in nanoseconds since 1970.
    private(set) var checked: Int64
    private let cancellation: Cancellation

    /// Hashes the content, or takes the hash from the catalog if the fingerprint proves it.
    ///
    /// - Throws: `MediaError` `cannot_read`; `LongtakeError` `unstable` if the file changes meanwhile.
    init(_ file: RecordingFile, _ catalog: Catalog, force: Bool, _ cancellation: Cancellation) throws {
        self.file = file
        self.cancellation = cancellation
        fingerprint = file.fingerprint
        if !force, !file.path.isEmpty, let known = try catalog.find(path: file.path, fingerprint),
            let time = known.checked
        {
            (hash, checked, isHashed) = (known.content, time, false)
            return
        }
        checked = FileFingerprint.now
        hash = try Self.hash(file, cancellation)
        isHashed = true
        try check()
    }

    /// Verifies that the path still has this content; if only a time changed, the content is read again.
    ///
    /// - Throws: `LongtakeError` `unstable` if the content changed.
    func check() throws {
        guard !file.path.isEmpty else { return }
        guard let now = FileFingerprint(path: file.path), now.size == fingerprint.size, now.inode == fingerprint.inode
        else { throw LongtakeError.unstable(file.displayPath) }
        guard !now.equals(fingerprint) else { return }
        let start = FileFingerprint.now
        guard try Self.hash(file, cancellation) == hash, FileFingerprint(path: file.path)?.equals(now) == true else {
            throw LongtakeError.unstable(file.displayPath)
        }
        (fingerprint, checked) = (now, start)
    }

    private static func hash(_ file: RecordingFile, _ cancellation: Cancellation) throws -> String {
        do {
            return try ContentHash.sha256(fileDescriptor: file.descriptor) { _ in try cancellation.check() }
        } catch let error as StoreError {
            throw MediaError(code: .cannotRead, message: "cannot read: \(error.message)")
        }
    }
}
