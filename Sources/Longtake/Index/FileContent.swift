internal import Foundation
internal import Media
internal import Store

/// A file and the hash of its content, checked while the path refers to that content.
final class FileContent {
    let file: RecordingFile
    /// SHA-256 in hex.
    let hash: String
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
            (hash, checked) = (known.content, time)
            return
        }
        checked = FileFingerprint.now
        hash = try Self.hash(file, cancellation)
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

extension RecordingFile {
    /// The file's fingerprint when it was opened.
    var fingerprint: FileFingerprint {
        FileFingerprint(size: size, modified: modified, changed: changed, inode: inode, device: device)
    }

    /// The path in base64 if it is not UTF-8, else nil.
    var pathBase64: String? { InputPath(bytes: path).base64 }
}

extension InputPath {
    /// The path in base64 if it is not UTF-8, else nil.
    var base64: String? {
        String(validating: bytes, as: UTF8.self) == nil ? Data(bytes).base64EncodedString() : nil
    }
}

extension Library {
    /// The state of a catalog row whose index is being written.
    static let indexing = "indexing"

    /// Adds the index to the catalog under the file's path; the row becomes the newest.
    func register(_ content: FileContent, indexID: String, state: String) throws {
        let file = content.file
        var row = Catalog.RecordingRow(
            path: file.displayPath, pathBase64: file.pathBase64, size: file.size, modified: file.modified,
            inode: file.inode, content: content.hash, indexID: indexID, added: Date().formatted(.iso8601), state: state)
        row.fingerprint = content.fingerprint
        row.checked = content.checked
        if state != Self.indexing, let stamp = cache.manifestStamp(indexID: indexID),
            let manifest = try? cache.manifest(indexID: indexID), cache.manifestStamp(indexID: indexID) == stamp
        {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            row.stamp = stamp
            row.facts = (try? encoder.encode(IndexFacts(manifest))).map { String(decoding: $0, as: UTF8.self) }
        }
        try catalog.upsert(row)
    }
}
