internal import Glibc
internal import Media
internal import Store

/// The state of the file an index was made from, mostly determined without reading it.
public enum FileState: String, Sendable, Codable {
    /// It exists, with the size, inode and times recorded when its content was read, or with the same content.
    case present
    /// It exists with the recorded size and modification time, but another inode or change time, and is too large to
    /// hash.
    ///
    /// It may have a new mode, owner, name or link, or other content under old times. Indexing it again tells.
    case touched
    /// It exists with another size, modification time or content.
    case changed
    /// It is missing, and so is its folder, or the folder is empty on another file system: perhaps an unmounted disk.
    ///
    /// Also if the index was imported, and the file is not on this machine.
    case unreachable
    /// It is missing.
    case gone
    /// Another recording was indexed under its path later.
    case replaced
    /// The recording came from a pipe.
    case pipe

    /// True if this path no longer leads to the recording.
    var isMissing: Bool { self == .gone || self == .replaced }

    /// Sort order of a recording's paths; lower is better.
    fileprivate var rank: Int {
        switch self {
        case .present: 0
        case .touched: 1
        case .changed: 2
        case .unreachable: 3
        case .gone: 4
        case .replaced: 5
        case .pipe: 6
        }
    }
}

/// One path under which a recording was indexed.
struct RecordingLocation {
    let path: InputPath
    let state: FileState
    /// The catalog's row; nil if only the manifest has the path.
    let row: Catalog.RecordingRow?
}

/// The current state of the files of indexed recordings, from the catalog and one `stat` per path.
struct RecordingLocations {
    /// Rows by index ID, newest first.
    private var rowsOfIndex: [String: [Catalog.RecordingRow]] = [:]
    private var newestOfPath: [InputPath: Catalog.RecordingRow] = [:]
    /// Fingerprints of the paths checked so far; nil where there is no file.
    private var fingerprints: [InputPath: FileFingerprint?] = [:]
    private var contents: [InputPath: Content] = [:]
    /// Bytes that may still be read to compare files with their recorded content.
    private var bytesLeft: Int64 = 256 << 20
    private static let mostBytesOfFile: Int64 = 64 << 20
    /// Rows whose touched file still has the row's content, with its current fingerprint and when it was read.
    private(set) var confirmed: [(row: Catalog.RecordingRow, fingerprint: FileFingerprint, checked: Int64)] = []

    /// The content read from a path; the hash is nil if it could not be read.
    private struct Content {
        let hash: String?
        let checked: Int64
    }

    /// Creates the locations from catalog rows.
    ///
    /// - Parameter rows: rows, oldest first.
    init(_ rows: [Catalog.RecordingRow]) {
        for row in rows.reversed() {
            rowsOfIndex[row.indexID, default: []].append(row)
            let path = InputPath(bytes: row.pathBytes)
            if newestOfPath[path] == nil { newestOfPath[path] = row }
        }
    }

    /// Returns the newest row of a path; nil if nothing was indexed from it.
    func newest(of path: InputPath) -> Catalog.RecordingRow? { newestOfPath[path] }

    /// Returns all paths of an index, best first, then newest first; empty only if there is neither row nor manifest.
    mutating func all(of index: String, _ manifest: Manifest?) -> [RecordingLocation] {
        var locations = (rowsOfIndex[index] ?? []).map { row in
            let path = InputPath(bytes: row.pathBytes)
            return RecordingLocation(path: path, state: state(of: row, path), row: row)
        }
        if locations.isEmpty, let manifest {
            var row = Catalog.RecordingRow(
                path: manifest.path, pathBase64: manifest.pathBase64, size: manifest.fileSize,
                modified: manifest.modified, inode: manifest.inode, content: manifest.key.content, indexID: index,
                added: manifest.created, state: manifest.state)
            row.changed = manifest.changed
            let path = InputPath(bytes: manifest.pathBytes)
            locations = [RecordingLocation(path: path, state: state(of: row, path), row: nil)]
        }
        return locations.enumerated().sorted { ($0.element.state.rank, $0.offset) < ($1.element.state.rank, $1.offset) }
            .map(\.element)
    }

    /// Returns the paths of an index to display: those where its file exists, or else the best one.
    mutating func shown(of index: String, _ manifest: Manifest?) -> [RecordingLocation] {
        let all = all(of: index, manifest)
        let present = all.filter { $0.state == .present }
        return present.isEmpty ? Array(all.prefix(1)) : present
    }

    private mutating func state(of row: Catalog.RecordingRow, _ path: InputPath) -> FileState {
        guard !path.bytes.isEmpty else { return .pipe }
        let current = fingerprint(of: path)
        var isTouched = false
        if let now = current {
            if row.fingerprint.isLike(now), row.changed == nil || row.changed == now.changed { return .present }
            if row.size == now.size, row.modified == now.modified {
                let content = content(of: path, now)
                guard content.hash != row.content else {
                    confirmed.append((row, now, content.checked))
                    return .present
                }
                isTouched = content.hash == nil
            }
        }
        // Nothing at this path says anything about a file of another machine.
        if row.device == Catalog.RecordingRow.elsewhere { return .unreachable }
        if let newest = newestOfPath[path], newest.content != row.content { return .replaced }
        if current != nil { return isTouched ? .touched : .changed }
        return Self.isReachable(path, device: row.device) ? .gone : .unreachable
    }

    /// Hashes a file's content unless it is large or too much has been read already.
    private mutating func content(of path: InputPath, _ now: FileFingerprint) -> Content {
        if let known = contents[path] { return known }
        let checked = FileFingerprint.now
        var hash: String?
        if now.size <= min(Self.mostBytesOfFile, bytesLeft), let file = try? RecordingFile(path: path.bytes) {
            bytesLeft -= now.size
            hash = try? ContentHash.sha256(fileDescriptor: file.descriptor) { _ in }
            if FileFingerprint(path: path.bytes)?.equals(now) != true { hash = nil }
        }
        let content = Content(hash: hash, checked: checked)
        contents[path] = content
        return content
    }

    /// Returns the fingerprint of the file at a path, read once; nil if there is none.
    private mutating func fingerprint(of path: InputPath) -> FileFingerprint? {
        if let known = fingerprints[path] { return known }
        let current = FileFingerprint(path: path.bytes)
        fingerprints.updateValue(current, forKey: path)
        return current
    }

    /// Returns true if the file would be reachable at this path if it still existed.
    private static func isReachable(_ path: InputPath, device: UInt64?) -> Bool {
        var status = stat()
        if path.withCString({ lstat($0, &status) }) != 0, errno != ENOENT, errno != ENOTDIR { return false }
        let parent = path.parent
        var folder = parent
        while FileFingerprint(path: folder.bytes) == nil {
            guard folder.bytes.count > 1 else { return false }
            folder = folder.parent
        }
        if let device, FileFingerprint(path: folder.bytes)?.device == device { return true }
        // The folder of a disk that is not mounted is empty.
        return folder == parent && (try? InputWalker.names(parent))?.isEmpty == false
    }
}

extension InputPath {
    /// The parent folder; of the root, and of a single name, the root.
    var parent: InputPath {
        let end = bytes.lastIndex(of: UInt8(ascii: "/")) ?? 0
        return InputPath(bytes: end == 0 ? [UInt8(ascii: "/")] : Array(bytes[..<end]))
    }

    /// The name after the last slash.
    var name: [UInt8] { bytes.lastIndex(of: UInt8(ascii: "/")).map { Array(bytes[($0 + 1)...]) } ?? bytes }
}

extension Library {
    /// Returns the locations of all recordings.
    func locations() throws -> RecordingLocations { RecordingLocations(try catalog.history()) }

    /// Returns the current location of one recording.
    func location(of manifest: Manifest) throws -> RecordingLocation {
        let rows = try catalog.rows(indexID: manifest.key.id)
        // Of each path, only the newest row matters in addition to these.
        let newest = try rows.compactMap { try catalog.rows(path: $0.pathBytes).first }
        let rest = rows.filter { !newest.contains($0) }
        var locations = RecordingLocations(rest.reversed() + newest.reversed())
        return locations.shown(of: manifest.key.id, manifest)[0]
    }

    /// Returns the current path of a recording.
    func currentPath(of manifest: Manifest) -> InputPath {
        (try? location(of: manifest).path) ?? InputPath(bytes: manifest.pathBytes)
    }

    /// Records in the catalog which files are now missing, which exist again, and which were only touched.
    func noteMissing() throws {
        var locations = try locations()
        let now = FileFingerprint.now / 1_000_000_000
        var changes: [(row: Catalog.RecordingRow, seconds: Int64?)] = []
        for index in Set(try catalog.history().map(\.indexID)).sorted() {
            for location in locations.all(of: index, nil) {
                guard let row = location.row else { continue }
                if location.state.isMissing, row.missing == nil { changes.append((row, now)) }
                if [.present, .touched, .changed].contains(location.state), row.missing != nil {
                    changes.append((row, nil))
                }
            }
        }
        try catalog.set(missing: changes)
        try catalog.set(confirmed: locations.confirmed)
    }
}
