internal import Media
internal import Store

/// A file with a recording: opened, probed and hashed on first use, each at most once while the file stays as it is.
///
/// One value goes through all stages of a command: plan, check of the context, indexing. Not thread-safe.
package final class Recording {
    /// The path as it was given.
    package let path: InputPath
    private var file: RecordingFile?
    /// The fingerprint of the file that `probes` and `content` belong to; nil before the file was opened.
    private var fingerprint: FileFingerprint?
    /// Results of probing by the requested stream.
    private var probes: [Int?: DecodeResult] = [:]
    private var content: FileContent?

    /// Creates a recording; the file is opened on first use.
    package init(_ path: InputPath) { self.path = path }

    /// Returns the open file; opens it again if the path now leads to another file or to one that was changed.
    ///
    /// Standard input is copied to a temporary file first.
    /// - Throws: `MediaError` if the file cannot be read or is not a video.
    func open(_ cancellation: Cancellation) throws -> RecordingFile {
        if let file, path.isStandardInput || file.isUnchanged { return file }
        return try reopen(cancellation)
    }

    /// Opens the file at the path again; what was known of another file there is forgotten.
    @discardableResult
    func reopen(_ cancellation: Cancellation) throws -> RecordingFile {
        let opened = try path.open(cancellation: cancellation)
        if fingerprint?.equals(opened.fingerprint) != true { probes = [:] }
        (file, fingerprint, content) = (opened, opened.fingerprint, nil)
        return opened
    }

    /// Closes the file, so that many recordings can be kept; the next use opens it again.
    package func close() { (file, content) = (nil, nil) }

    /// Reads the container without decoding, or returns the earlier result for the requested stream.
    ///
    /// - Throws: `MediaError`; `LongtakeError` `interrupted`.
    func probe(_ request: FrameRequest, _ cancellation: Cancellation) throws -> DecodeResult {
        let file = try file ?? reopen(cancellation)
        if let known = probes[request.stream] { return known }
        do {
            let result = try FrameStream.probe(file, request: request) { cancellation.isCancelled }
            probes[request.stream] = result
            return result
        } catch {
            try cancellation.check()
            throw error
        }
    }

    /// Hashes the content, or takes the hash from the catalog if the fingerprint proves it; see `FileContent`.
    ///
    /// - Parameter force: true to not rely on the catalog.
    /// - Throws: `MediaError` `cannot_read`; `LongtakeError` `unstable` if the file changes meanwhile.
    func hashed(_ catalog: Catalog, force: Bool, _ cancellation: Cancellation) throws -> FileContent {
        if let content, content.isHashed || !force { return content }
        let made = try FileContent(try file ?? reopen(cancellation), catalog, force: force, cancellation)
        content = made
        return made
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
