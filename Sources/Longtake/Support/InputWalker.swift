internal import Glibc
internal import SystemCalls

/// Finds the recordings among files and folders.
package struct InputWalker {
    /// File name extensions that are used inside folders; a file given by name is used with any extension.
    package static let suffixes: Set<String> = [
        "3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mj2", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf",
        "ogv",
        "ts", "vob", "webm", "wmv",
    ]
    /// Deeper folders are skipped, which also ends loops made by mounts.
    static let maximumDepth = 64

    /// The files found, in order.
    package private(set) var files: [InputPath] = []
    /// Folders that could not be read, with the reason.
    package private(set) var unreadable: [(path: InputPath, reason: String)] = []
    /// Number of symbolic links found inside folders; they are not followed.
    package private(set) var linksSkipped = 0
    /// Given folders that contain no recording.
    package private(set) var emptyFolders: [InputPath] = []
    /// The folders that were looked into.
    package private(set) var folders: [InputPath] = []
    /// Number of files and folders excluded by a pattern.
    package private(set) var excluded = 0
    private var seen: Set<InputPath> = []
    private let exclude: [ExcludePattern]
    private let include: [ExcludePattern]
    private let followsLinks: Bool
    /// Folders being walked, by device and inode, so that links do not lead around in circles.
    private var open: Set<[UInt64]> = []
    /// Length in bytes of the given folder's path, which patterns do not match.
    private var rootLength = 0

    /// Lists the files, and the videos in the folders sorted by name; hidden files and symbolic links in folders are
    /// skipped.
    ///
    /// - Parameters:
    ///   - exclude: patterns as in .gitignore, as bytes: of names, or with a slash of paths below the given folder.
    ///   - include: patterns of which a file in a folder must match one; empty: any.
    ///   - followsLinks: whether symbolic links in folders are followed.
    package init(
        _ inputs: [InputPath], recursive: Bool = true, exclude: [[UInt8]] = [], include: [[UInt8]] = [],
        followsLinks: Bool = false
    ) {
        self.exclude = exclude.compactMap { ExcludePattern($0) }
        self.include = include.compactMap { ExcludePattern($0) }
        self.followsLinks = followsLinks
        for input in inputs {
            if !input.isStandardInput, mode(input, follow: true) == S_IFDIR {
                rootLength = input.bytes.count
                let (before, unread, out) = (files.count, unreadable.count, excluded)
                found = 0
                walk(input, recursive: recursive, depth: 0)
                if files.count == before, found == 0, unreadable.count == unread, excluded == out {
                    emptyFolders.append(input)
                }
            } else if !isExcluded(input, isFolder: false, from: 0) {
                add(input)
            }
        }
    }

    /// Adds what another walk found.
    package mutating func append(_ other: InputWalker) {
        for file in other.files { add(file) }
        unreadable += other.unreadable
        linksSkipped += other.linksSkipped
        emptyFolders += other.emptyFolders
        folders += other.folders
        excluded += other.excluded
    }

    /// Number of recordings in the current folder, including those found before.
    private var found = 0

    private mutating func isExcluded(_ path: InputPath, isFolder: Bool, from start: Int) -> Bool {
        guard !exclude.isEmpty, !path.isStandardInput else { return false }
        let name = path.bytes.dropFirst(start)
        let isOut = exclude.contains { $0.matches(name, isFolder: isFolder) }
        if isOut { excluded += 1 }
        return isOut
    }

    private func isIncluded(_ path: InputPath) -> Bool {
        let name = path.bytes.dropFirst(rootLength)
        return include.isEmpty || include.contains { $0.matches(name, isFolder: false) }
    }

    /// Device and inode of a folder; empty if links are not followed, or if it cannot be told.
    private func identity(of folder: InputPath) -> [UInt64] {
        guard followsLinks else { return [] }
        let status = folder.withCString { try? SystemCall.status(of: $0) } ?? nil
        return status.map { [UInt64($0.st_dev), UInt64($0.st_ino)] } ?? []
    }

    private mutating func add(_ path: InputPath) {
        if seen.insert(path).inserted { files.append(path) }
    }

    private func mode(_ path: InputPath, follow: Bool) -> mode_t? {
        let status = path.withCString { name in
            follow ? try? SystemCall.status(of: name) : try? SystemCall.linkStatus(of: name)
        }
        return (status ?? nil).map { $0.st_mode & S_IFMT }
    }

    private mutating func walk(_ folder: InputPath, recursive: Bool, depth: Int) {
        guard depth < Self.maximumDepth else {
            unreadable.append((folder, "folders are nested deeper than \(Self.maximumDepth)"))
            return
        }
        let identity = identity(of: folder)
        guard identity.isEmpty || open.insert(identity).inserted else { return }
        defer { open.remove(identity) }
        let names: [[UInt8]]
        do {
            names = try Self.names(folder)
        } catch {
            unreadable.append((folder, "\(error)"))
            return
        }
        folders.append(folder)
        var inner: [InputPath] = []
        for name in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) where name.first != UInt8(ascii: ".") {
            let path = folder.appending(name)
            switch mode(path, follow: followsLinks) {
            case S_IFDIR:
                if !isExcluded(path, isFolder: true, from: rootLength) { inner.append(path) }
            case S_IFLNK: linksSkipped += 1
            case S_IFREG:
                let suffix = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).last ?? []
                if suffix.count < name.count,
                    Self.suffixes.contains(String(decoding: suffix, as: UTF8.self).lowercased())
                {
                    found += 1
                    if isIncluded(path), !isExcluded(path, isFolder: false, from: rootLength) { add(path) }
                }
            default: continue
            }
        }
        if recursive { for path in inner { walk(path, recursive: true, depth: depth + 1) } }
    }

    /// Returns the names in a folder, without "." and "..".
    static func names(_ folder: InputPath) throws(SystemError) -> [[UInt8]] {
        guard !folder.bytes.contains(0) else { throw SystemError(ENOENT) }
        return try SystemCall.names(in: folder.bytes.map { CChar(bitPattern: $0) } + [0])
    }
}
