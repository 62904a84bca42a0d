import Foundation
import GRDB
import Glibc
import Synchronization

/// The list of known recordings, of jobs and of answers, an SQLite file in WAL mode.
///
/// Recordings only save looking things up: `rebuild` makes them anew from the manifests, and a damaged file is put aside. Safe
/// to use from several threads and processes. All methods throw `StoreError`: `.locked` when another process holds the
/// file for longer than five seconds, `.damaged`, `.noSpace`, `.io`.
public final class Catalog: Sendable {
    /// One recording under one path with one index.
    ///
    /// `size` in bytes, `modified`, `changed` and `checked` in nanoseconds since 1970, `content` the SHA-256 in hex, `id` is
    /// `vid_` and its first 16 digits, `added` in RFC 3339, `state` `complete` or `partial` or what the caller calls it,
    /// `error` why the last attempt failed.
    public struct RecordingRow: Codable, Sendable, Equatable {
        public var path: String
        public var pathBase64: String?
        public var size: Int64
        public var modified: Int64
        public var inode: UInt64
        public var content: String
        public var indexID: String
        public var id: String
        public var added: String
        public var state: String
        public var error: String?
        /// The change time (ctime); nil where it is not known.
        public var changed: Int64?
        /// The file system the file was on; nil where it is not known.
        public var device: UInt64?
        /// When the content was read.
        public var checked: Int64?
        /// Seconds since 1970 when the file was first found to be gone; nil while it is there.
        public var missing: Int64?
        /// The manifest file that `facts` was taken from, as `CacheDirectory.manifestStamp` says it.
        public var stamp: String?
        /// What a run says of the index without opening it, as JSON.
        public var facts: String?

        /// `id` is made from `content`.
        public init(
            path: String, pathBase64: String? = nil, size: Int64, modified: Int64, inode: UInt64, content: String,
            indexID: String, added: String, state: String, error: String? = nil
        ) {
            self.path = path
            self.pathBase64 = pathBase64
            self.size = size
            self.modified = modified
            self.inode = inode
            self.content = content
            self.indexID = indexID
            self.id = "vid_" + content.prefix(16)
            self.added = added
            self.state = state
            self.error = error
        }

        /// The path as the file system has it.
        public var pathBytes: [UInt8] { PathText.bytes(path, base64: pathBase64) }

        /// What the file was when its content was read.
        public var fingerprint: FileFingerprint {
            get {
                FileFingerprint(size: size, modified: modified, changed: changed, inode: inode, device: device)
            }
            set {
                (size, modified, changed) = (newValue.size, newValue.modified, newValue.changed)
                (inode, device) = (newValue.inode, newValue.device)
            }
        }

        /// Whether a file with this fingerprint has the content for sure.
        public func proves(_ now: FileFingerprint) -> Bool {
            fingerprint.equals(now) && now.proves(readAt: checked)
        }
    }

    public let path: String
    /// Whether there was no file before.
    public let isNew: Bool
    /// Where a file that was damaged lies now; nil where there was none.
    public let aside: String?
    private let database: DatabaseQueue

    static let version = 3

    /// Opens or makes the catalogue; a file that is no intact database is renamed to `<path>.damaged-<time>` first.
    ///
    /// Throws `.newerFormat` for the catalogue of a newer program, which is left alone.
    public init(path: String) throws {
        self.path = path
        isNew = Posix.linkStatus(path) == nil
        (database, aside) = try Catalog.translated(path) {
            do {
                return (try Catalog.open(path), nil)
            } catch let error as DatabaseError where Catalog.isDamage(error) {
                return try Catalog.replaceDamaged(path)
            }
        }
    }

    private init(_ database: DatabaseQueue) {
        path = ":memory:"
        isNew = true
        aside = nil
        self.database = database
    }

    deinit {
        try? database.close()
        // GRDB's queue is disposed of by a thread of libdispatch, and where there is no thread to be had that waits for one
        // without end: the little that is left of a closed connection stays.
        _ = Unmanaged.passRetained(database)
    }

    /// A catalogue that is forgotten with the process, for libraries that can only be read.
    public static func inMemory() throws -> Catalog {
        try translated(":memory:") { Catalog(try open(":memory:")) }
    }

    /// The rows of the file at `path`, compared byte by byte; the newest first.
    public func rows(path: [UInt8]) throws -> [RecordingRow] {
        let text = String(validating: path, as: UTF8.self)
        return try rows(
            "WHERE path = ? AND ifnull(pathBase64, '') = ? ORDER BY rowid DESC",
            [text ?? String(decoding: path, as: UTF8.self), text == nil ? Data(path).base64EncodedString() : ""])
    }

    /// The rows of an index, the newest first.
    public func rows(indexID: String) throws -> [RecordingRow] {
        try rows("WHERE indexID = ? ORDER BY rowid DESC", [indexID])
    }

    /// The newest row of the file at `path` whose content a file with this fingerprint has for sure.
    public func find(path: [UInt8], _ fingerprint: FileFingerprint) throws -> RecordingRow? {
        try rows(path: path).first { $0.proves(fingerprint) }
    }

    /// Adds a row, in place of the one with the same path and index if there is one.
    public func upsert(_ row: RecordingRow) throws { try write { try Catalog.insert(row, $0) } }

    /// Removes all rows of one index.
    public func remove(indexID: String) throws {
        try write { try $0.execute(sql: "DELETE FROM recording WHERE indexID = ?", arguments: [indexID]) }
    }

    /// Sets when files were first found to be gone, by path and index; nil: they are there again.
    public func set(missing: [(row: RecordingRow, seconds: Int64?)]) throws {
        guard !missing.isEmpty else { return }
        try write { database in
            for (row, seconds) in missing {
                var row = row
                row.missing = seconds
                try database.execute(
                    sql: """
                        UPDATE recording SET missing = ?, checksum = ?
                        WHERE path = ? AND ifnull(pathBase64, '') = ? AND indexID = ?
                        """,
                    arguments: [seconds, row.checksum, row.path, row.pathBase64 ?? "", row.indexID])
            }
        }
    }

    /// Sets by path and index what files are that were found to have their row's content, and when that was read.
    public func set(confirmed: [(row: RecordingRow, fingerprint: FileFingerprint, checked: Int64)]) throws {
        guard !confirmed.isEmpty else { return }
        try write { database in
            for (known, fingerprint, checked) in confirmed {
                // Who indexed it meanwhile knows better.
                let now = try Row.fetchOne(
                    database,
                    sql: """
                        SELECT \(Catalog.columns.joined(separator: ", ")) FROM recording
                        WHERE path = ? AND ifnull(pathBase64, '') = ? AND indexID = ?
                        """, arguments: [known.path, known.pathBase64 ?? "", known.indexID])
                guard let now, var row = try? Catalog.row(now), row.content == known.content,
                    row.checked ?? 0 <= checked
                else { continue }
                (row.fingerprint, row.checked) = (fingerprint, checked)
                try database.execute(
                    sql: """
                        UPDATE recording SET inode = ?, changed = ?, device = ?, checked = ?, checksum = ?
                        WHERE path = ? AND ifnull(pathBase64, '') = ? AND indexID = ?
                        """,
                    arguments: [
                        Int64(bitPattern: row.inode), row.changed, row.device.map { Int64(bitPattern: $0) },
                        row.checked, row.checksum, row.path, row.pathBase64 ?? "", row.indexID,
                    ])
            }
        }
    }

    /// All rows by path.
    public func all() throws -> [RecordingRow] { try rows("ORDER BY path, pathBase64, indexID", []) }

    /// All rows, the oldest first: a row that is replaced becomes the newest.
    public func history() throws -> [RecordingRow] { try rows("ORDER BY rowid", []) }

    /// Whether there are no recordings.
    public func isEmpty() throws -> Bool {
        try read { try Int.fetchOne($0, sql: "SELECT 1 FROM recording LIMIT 1") == nil }
    }

    /// How many rows are left out of `all` because they are not what was written.
    public func changedRows() throws -> Int {
        try read { try Int.fetchOne($0, sql: "SELECT count(*) FROM recording") ?? 0 } - all().count
    }

    /// Drops the rows that are damaged or of other indexes, and adds one for each manifest that has none; one transaction.
    public func rebuild(from manifests: [Manifest]) throws {
        let known = Set(manifests.map(\.key.id))
        let kept = try history().filter { known.contains($0.indexID) }
        let listed = Set(kept.map(\.indexID))
        let added = manifests.filter { !listed.contains($0.key.id) }.sorted { $0.created < $1.created }
        try write { database in
            try database.execute(sql: "DELETE FROM recording")
            for manifest in added {
                var row = RecordingRow(
                    path: manifest.path, pathBase64: manifest.pathBase64, size: manifest.fileSize,
                    modified: manifest.modified, inode: manifest.inode, content: manifest.key.content,
                    indexID: manifest.key.id, added: manifest.created, state: manifest.state)
                row.changed = manifest.changed
                try Catalog.insert(row, database)
            }
            for row in kept { try Catalog.insert(row, database) }
        }
    }

    private static let columns = [
        "path", "pathBase64", "size", "modified", "inode", "content", "indexID", "id", "added", "state", "error",
        "changed", "device", "checked", "missing", "stamp", "facts", "checksum",
    ]

    private static func open(_ path: String) throws -> DatabaseQueue {
        if let stray = strays(path).first {
            throw DatabaseError(resultCode: .SQLITE_NOTADB, message: "\(stray) is not a regular file")
        }
        var configuration = Configuration()
        let waiting = BusyWait()
        configuration.busyMode = waiting.mode
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            // 16 MB: what the check of the whole file has read need not be read again.
            try database.execute(sql: "PRAGMA cache_size = -16384")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found > version { throw StoreError.newer(path, found: found, known: version) }
            // The quick check looks at no index: the row it does not lead to cannot be replaced later.
            if try String.fetchOne(database, sql: "PRAGMA integrity_check(1)") != "ok" {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "integrity_check failed")
            }
            if try refusesWriting(database, path, waiting) {
                throw DatabaseError(resultCode: .SQLITE_NOTADB, message: "its header claims another format")
            }
            if found < version { try migrate(database) }
            // A table of the same name with other columns is not ours.
            for (table, names) in [
                ("recording", columns), (JobRow.table, JobRow.columns), (AnswerRow.table, AnswerRow.columns),
            ] {
                guard try database.tableExists(table), try database.columns(in: table).map(\.name) == names else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "other columns")
                }
            }
        }
        return queue
    }

    /// Brings the tables of any older version up to this one's, in one transaction.
    private static func migrate(_ database: Database) throws {
        try database.inTransaction(.immediate) {
            // Another process may have been here first.
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found < 2 {
                // Version 1 had recordings only, without checksums: they are made again from the manifests.
                // An inode has 64 bits: it is stored as the signed number with the same bits.
                try database.execute(
                    sql: """
                        DROP TABLE IF EXISTS recording;
                        \(recordingTable)
                        CREATE TABLE IF NOT EXISTS job (
                            id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
                            started TEXT NOT NULL, ended TEXT, error TEXT);
                        CREATE TABLE IF NOT EXISTS answer (
                            id TEXT NOT NULL PRIMARY KEY, indexID TEXT NOT NULL, created TEXT NOT NULL,
                            question TEXT NOT NULL, answer TEXT NOT NULL, found INTEGER NOT NULL, evidence TEXT NOT NULL, segment TEXT,
                            model TEXT NOT NULL, checksum TEXT NOT NULL);
                        CREATE INDEX IF NOT EXISTS answer_index ON answer (indexID, created);
                        """)
            }
            if found == 2 { try addFingerprints(database) }
            if found < version { try database.execute(sql: "PRAGMA user_version = \(version)") }
            return .commit
        }
    }

    private static let recordingTable = """
        CREATE TABLE recording (
            path TEXT NOT NULL, pathBase64 TEXT, size INTEGER NOT NULL, modified INTEGER NOT NULL,
            inode INTEGER NOT NULL, content TEXT NOT NULL, indexID TEXT NOT NULL, id TEXT NOT NULL,
            added TEXT NOT NULL, state TEXT NOT NULL, error TEXT, changed INTEGER, device INTEGER, checked INTEGER,
            missing INTEGER, stamp TEXT, facts TEXT, checksum TEXT NOT NULL);
        CREATE UNIQUE INDEX recording_key ON recording (path, ifnull(pathBase64, ''), indexID);
        CREATE INDEX recording_index ON recording (indexID);
        """

    /// From version 2, which knew no change time: its rows stay, and their files are read once more.
    private static func addFingerprints(_ database: Database) throws {
        let old = "path, pathBase64, size, modified, inode, content, indexID, id, added, state, error, checksum"
        try database.execute(
            sql: """
                DROP INDEX recording_key;
                DROP INDEX recording_index;
                ALTER TABLE recording RENAME TO recording2;
                \(recordingTable)
                INSERT INTO recording (\(old)) SELECT \(old) FROM recording2 ORDER BY added, rowid;
                DROP TABLE recording2;
                """)
        for row in try Row.fetchAll(database, sql: "SELECT *, rowid AS number FROM recording") {
            // A row that was damaged before stays so.
            guard let known = try? decoded(row), try CatalogFields(row).required("checksum") == known.checksumOfVersion2
            else {
                continue
            }
            try database.execute(
                sql: "UPDATE recording SET checksum = ? WHERE rowid = ?",
                arguments: [known.checksum, try CatalogFields(row).number("number")])
        }
    }

    /// Whether a statement of ours fails because the file is no intact catalogue, and not because the system is in the way.
    private static func isDamage(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
    }

    /// Whether the file can be written and SQLite will not: it opens one whose header claims a later format for reading only.
    ///
    /// The header is not looked at, for closing a file drops the locks that SQLite has on it.
    private static func refusesWriting(
        _ database: Database, _ path: String, _ waiting: BusyWait
    ) throws -> Bool {
        // Where another process writes at this moment, it can be written.
        waiting.isOff = true
        defer { waiting.isOff = false }
        do {
            // A change that is taken back reaches no file; without one, SQLite makes do with reading.
            try database.execute(sql: "BEGIN IMMEDIATE; PRAGMA user_version = \(version); ROLLBACK")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
            if database.isInsideTransaction { try database.execute(sql: "ROLLBACK") }
            return access(path, W_OK) == 0 && access(Posix.parent(of: path), W_OK) == 0
        } catch let error as DatabaseError where [.SQLITE_BUSY, .SQLITE_LOCKED].contains(error.resultCode) {}
        return false
    }

    /// How long another process is waited for, in seconds.
    fileprivate static let patience = 5.0

    /// Puts a damaged file aside; of several processes that met it the first one does, the others open the new one.
    private static func replaceDamaged(_ path: String) throws -> (DatabaseQueue, String?) {
        let folder = Posix.parent(of: path)
        let descriptor = try Posix.open(folder, O_RDONLY | O_DIRECTORY)
        defer { Posix.unlock(descriptor) }
        guard try Posix.lock(descriptor, LOCK_EX, for: patience, path: folder) else { throw StoreError.busy(path) }
        do {
            return (try open(path), nil)
        } catch let error as DatabaseError where isDamage(error) {
            let aside = try putAside(path)
            return (try open(path), aside)
        }
    }

    /// What is not a regular file of the three that SQLite makes; one that is a link would be written through.
    private static func strays(_ path: String) -> [String] {
        path == ":memory:"
            ? [] : ["", "-wal", "-shm", "-journal"].map { path + $0 }.filter { Posix.otherKind($0) != nil }
    }

    private static func putAside(_ path: String) throws -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let aside = "\(path).damaged-\(now.tv_sec).\(now.tv_nsec)"
        // What is not a file beside a catalogue that is one goes alone: its answers stay.
        let companions = strays(path)
        if !companions.isEmpty, Posix.otherKind(path) == nil {
            for companion in companions {
                let target = aside + companion.dropFirst(path.count)
                if rename(companion, target) != 0 { throw StoreError.system(errno, "rename", companion) }
            }
            return aside + (companions.first ?? path).dropFirst(path.count)
        }
        if rename(path, aside) != 0 { throw StoreError.system(errno, "rename", path) }
        // The log belongs to the damaged file; left behind it would be replayed into the new one.
        for suffix in ["-wal", "-shm"] where Posix.linkStatus(path + suffix) != nil {
            if rename(path + suffix, aside + suffix) != 0 { throw StoreError.system(errno, "rename", path + suffix) }
        }
        return aside
    }

    func write(_ body: @Sendable (Database) throws -> Void) throws {
        try Catalog.translated(path) { try database.write { try body($0) } }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try Catalog.translated(path) { try database.read { try body($0) } }
    }

    private func rows(_ condition: String, _ arguments: StatementArguments) throws -> [RecordingRow] {
        try read { database in
            let names = Catalog.columns.joined(separator: ", ")
            let sql = "SELECT \(names) FROM recording \(condition)"
            // SQLite keeps no checksums: a row in which a bit has changed is as good as absent.
            return try Row.fetchAll(database, sql: sql, arguments: arguments).compactMap { try? Catalog.row($0) }
        }
    }

    private static func insert(_ row: RecordingRow, _ database: Database) throws {
        try database.execute(
            sql: "DELETE FROM recording WHERE path = ? AND ifnull(pathBase64, '') = ? AND indexID = ?",
            arguments: [row.path, row.pathBase64 ?? "", row.indexID])
        let marks = columns.map { _ in "?" }.joined(separator: ", ")
        try database.execute(
            sql: "INSERT INTO recording (\(columns.joined(separator: ", "))) VALUES (\(marks))",
            arguments: [
                row.path, row.pathBase64, row.size, row.modified, Int64(bitPattern: row.inode), row.content,
                row.indexID, row.id, row.added, row.state, row.error, row.changed,
                row.device.map { Int64(bitPattern: $0) }, row.checked, row.missing, row.stamp, row.facts, row.checksum,
            ])
    }

    private static func row(_ row: Row) throws -> RecordingRow? {
        let known = try decoded(row)
        return try CatalogFields(row).required(columns.count - 1) == known.checksum ? known : nil
    }

    /// Decodes a row of `columns` without the traps that GRDB's typed subscripts have for a value of another type.
    ///
    /// By position: looking columns up by name takes longer than all the rest.
    private static func decoded(_ row: Row) throws -> RecordingRow {
        let fields = CatalogFields(row)
        var result = RecordingRow(
            path: try fields.required(0), pathBase64: try fields.text(1), size: try fields.number(2),
            modified: try fields.number(3), inode: UInt64(bitPattern: try fields.number(4)),
            content: try fields.required(5), indexID: try fields.required(6), added: try fields.required(8),
            state: try fields.required(9), error: try fields.text(10))
        result.id = try fields.required(7)
        result.changed = try fields.optionalNumber(11)
        result.device = try fields.optionalNumber(12).map { UInt64(bitPattern: $0) }
        result.checked = try fields.optionalNumber(13)
        result.missing = try fields.optionalNumber(14)
        result.stamp = try fields.text(15)
        result.facts = try fields.text(16)
        return result
    }

    /// What is wrong with the file at `path`; nil where it is whole or is not there. Nothing is changed.
    public static func damage(path: String) -> String? {
        if let stray = strays(path).first {
            return "\(stray) is \(Posix.otherKind(stray) ?? "gone"), not a regular file"
        }
        guard Posix.linkStatus(path) != nil else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = BusyWait().mode
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            let said = try queue.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(3)") }
            return said == ["ok"] ? nil : said.joined(separator: "; ")
        } catch let error as DatabaseError where isDamage(error) {
            return error.message ?? error.description
        } catch {
            // A catalogue that cannot be read now is not known to be damaged.
            return nil
        }
    }

    /// SQLite calls it an I/O error when its log's index (32 KiB) cannot be made.
    private static func hasNoRoom(_ path: String) -> Bool {
        let folder = Posix.parent(of: path)
        guard path != ":memory:", let free = try? Posix.freeBytes(at: folder) else { return false }
        return free < 64 << 10 || Posix.lacksInodes(at: folder)
    }

    /// Runs `body` and turns SQLite's errors into the store's.
    private static func translated<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError {
            let code: StoreError.Code =
                switch error.resultCode {
                case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged
                case .SQLITE_FULL: .noSpace
                case .SQLITE_BUSY, .SQLITE_LOCKED: Patience.isOver ? .interrupted : .locked
                default: hasNoRoom(path) ? .noSpace : .io
                }
            if code == .interrupted { throw StoreError.interrupted(path) }
            if code == .noSpace {
                let what = Posix.lacksInodes(at: Posix.parent(of: path)) ? "no inodes are left" : "no space is left"
                throw StoreError.catalog(
                    path, "\(what) on its file system; `longtake rm` and `cache prune` free some", code: code)
            }
            throw StoreError.catalog(path, error.message ?? error.description, code: code)
        }
    }
}

/// Waits while another process holds the file: SQLite's own wait would hear no signal.
private final class BusyWait: Sendable {
    private let state = Mutex<(wait: Patience.Wait, isOff: Bool)>((.init(seconds: 0), false))

    /// While true nobody is waited for.
    var isOff: Bool {
        get { state.withLock { $0.isOff } }
        set { state.withLock { $0.isOff = newValue } }
    }

    var mode: Database.BusyMode {
        .callback { tries in
            self.state.withLock { state in
                if tries == 0 { state.wait = .init(seconds: Catalog.patience) }
                return !state.isOff && state.wait.goesOn()
            }
        }
    }
}
