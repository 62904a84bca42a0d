internal import Checkpoints
internal import Glibc
internal import SystemCalls

/// A model in the cache that `huggingface_hub` and its users share.
///
/// ```
/// models--org--name/
///   blobs/<hash>                   a file's bytes; <hash>.incomplete while they are downloaded
///   snapshots/<commit>/<path>      a relative link to a blob
///   refs/<revision>                the commit that a branch or tag named when it was downloaded
///   .no_exist/<commit>/<path>      an empty file: the commit has no such file
/// .locks/models--org--name/<hash>.lock, and longtake.lock while the model is downloaded
/// ```
struct HubCache {
    /// The cache folder.
    let root: String
    /// "models--org--name".
    let name: String
    /// Whether a snapshot's files are symbolic links; else hard links, or the files themselves.
    let linksSymbolically: Bool
    var folder: String { root + "/" + name }

    init(root: String, name: HubName, linksSymbolically: Bool = true) {
        self.root = root
        self.name = name.folder
        self.linksSymbolically = linksSymbolically
    }

    func blob(_ hash: String) -> String { "\(folder)/blobs/\(hash)" }
    func incomplete(_ hash: String) -> String { blob(hash) + ".incomplete" }
    func snapshot(_ commit: String) -> String { "\(folder)/snapshots/\(commit)" }
    /// The lock of a blob; without one that of the whole model, which downloads hold shared.
    func lock(_ hash: String = "longtake") -> String { "\(root)/.locks/\(name)/\(hash).lock" }

    /// The commit that a revision names in this cache; nil if it was not downloaded.
    func commit(of revision: String) -> String? {
        if HubName.isHash(revision, digits: 40) { return revision }
        guard let bytes = try? FolderPath.read("refs/" + revision, in: folder, limit: 4096) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).first.map(String.init)
        return text.flatMap { HubName.isHash($0, digits: 40) ? $0 : nil }
    }

    /// The size of a file or of what a link leads to; nil if it does not exist.
    static func size(_ path: String) -> Int64? {
        (try? SystemCall.status(of: path)).flatMap { $0.st_mode & S_IFMT == S_IFREG ? Int64($0.st_size) : nil }
    }

    /// True if the snapshot has the file with these bytes, as far as its name and size tell.
    func has(_ file: HubFile, commit: String) -> Bool {
        let path = snapshot(commit) + "/" + file.path
        guard Self.size(path) == file.size else { return false }
        // Tools that cannot link copy the file instead.
        guard let target = Self.target(of: path) else { return true }
        return target.split(separator: "/").last.map(String.init) == file.blob
    }

    /// The text of a symbolic link; nil if `path` is not one.
    static func target(of path: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let count = readlink(path, start, buffer.count)
            return count < 0 ? nil : String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    // MARK: Writing

    /// A name for a file that is not finished. It is no blob's; in the folders of references and snapshots, what a killed
    /// process leaves would count.
    private var temporary: String { "\(folder)/blobs/\(getpid()).tmp" }

    /// Removes what killed processes left an hour ago or earlier.
    func removeLeftovers() {
        for name in CachedModel.names(in: folder + "/blobs") where name.hasSuffix(".tmp") {
            let path = "\(folder)/blobs/\(name)"
            guard let status = try? SystemCall.linkStatus(of: path), time(nil) - status.st_mtim.tv_sec > 3600 else {
                continue
            }
            unlink(path)
        }
    }

    /// Creates a folder and those above it, with the permissions of the umask, as other tools do.
    static func makeFolder(_ path: String) throws {
        if FolderPath.isFolder(path) { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try makeFolder(String(path[..<slash])) }
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw HubError.write(path, .last) }
    }

    static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// Creates the cache folder, marked so that backups leave it out.
    func makeRoot() throws {
        try Self.makeFolder(folder + "/blobs")
        let tag = root + "/CACHEDIR.TAG"
        guard access(tag, F_OK) != 0 else { return }
        // https://bford.info/cachedir
        try? write(
            "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of models from a hub.\n", to: tag)
    }

    /// Writes a small file so that readers see the whole old or the whole new one.
    private func write(_ text: String, to path: String) throws {
        let temporary = temporary
        do {
            let descriptor = try SystemCall.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o666)
            defer { close(descriptor) }
            try SystemCall.writeAll(descriptor, Array(text.utf8))
            try SystemCall.sync(descriptor)
            guard rename(temporary, path) == 0 else { throw SystemError.last }
        } catch let error as SystemError {
            unlink(temporary)
            throw HubError.write(path, error)
        }
        try Self.sync(folder: Self.parent(path))
    }

    /// Flushes a folder's names to the disk.
    static func sync(folder: String) throws {
        do {
            let descriptor = try SystemCall.open(folder, O_RDONLY | O_DIRECTORY)
            defer { close(descriptor) }
            try SystemCall.sync(descriptor)
        } catch {
            throw HubError.write(folder, error)
        }
    }

    /// Links a snapshot's file to its blob.
    func link(_ file: HubFile, commit: String) throws {
        let path = snapshot(commit) + "/" + file.path
        let depth = file.path.utf8.count { $0 == 0x2f } + 2
        let target = String(repeating: "../", count: depth) + "blobs/" + file.blob
        if linksSymbolically ? Self.target(of: path) == target : isSame(path, blob(file.blob)) { return }
        try Self.makeFolder(Self.parent(path))
        let temporary = temporary
        unlink(temporary)
        let isMade =
            linksSymbolically
            ? symlink(target, temporary) == 0
                // A disk without any links gets the file itself, as with `huggingface_hub`.
            : Glibc.link(blob(file.blob), temporary) == 0 || rename(blob(file.blob), temporary) == 0
        guard isMade, rename(temporary, path) == 0 else {
            let error = SystemError.last
            unlink(temporary)
            throw HubError.write(path, error)
        }
    }

    /// True if both names are of one file, and neither is a symbolic link.
    private func isSame(_ path: String, _ other: String) -> Bool {
        guard let one = try? SystemCall.linkStatus(of: path), let other = try? SystemCall.linkStatus(of: other) else {
            return false
        }
        return one.st_ino == other.st_ino && one.st_dev == other.st_dev
    }

    /// Records the commit of a branch or tag.
    func write(ref revision: String, commit: String) throws {
        guard !HubName.isHash(revision, digits: 40) else { return }
        let path = "\(folder)/refs/\(revision)"
        guard self.commit(of: revision) != commit else { return }
        try Self.makeFolder(Self.parent(path))
        // Without a line break, as `huggingface_hub` writes and compares it.
        try write(commit, to: path)
    }

    /// Records that a commit lacks a file, so that other tools need not ask for it.
    func write(absent path: String, commit: String) {
        let marker = "\(folder)/.no_exist/\(commit)/\(path)"
        guard access(marker, F_OK) != 0, (try? Self.makeFolder(Self.parent(marker))) != nil else { return }
        if let descriptor = try? SystemCall.open(marker, O_WRONLY | O_CREAT, mode: 0o666) { close(descriptor) }
    }

    /// Bytes that may be written to the cache's disk.
    func freeBytes() -> Int64? {
        var path = folder
        while access(path, F_OK) != 0, path.contains("/") { path = Self.parent(path) }
        var status = statvfs()
        guard statvfs(path.isEmpty ? "/" : path, &status) == 0 else { return nil }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}
