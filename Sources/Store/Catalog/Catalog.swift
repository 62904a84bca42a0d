import Foundation
import GRDB
import Glibc
import Synchronization
import SystemCalls

/// The list of known recordings, jobs and answers, an SQLite file in WAL mode.
///
/// Recordings are only a lookup cache: `rebuild` restores them from the manifests, and a damaged file is renamed. Safe
/// to use from several threads and processes. All methods throw `StoreError`: `.locked` when another process holds the
/// file for more than five seconds, `.damaged`, `.noSpace`, `.io`.
public final class Catalog: Sendable {
    /// One recording, identified by its path and index.
    ///
    /// `size` is in bytes; `modified`, `changed` and `checked` are in nanoseconds since 1970; `content` is the SHA-256
    /// in hex; `id` is `vid_` and its first 16 digits; `added` is in RFC 3339; `state` is `complete`, `partial` or a
    /// name chosen by the caller; `error` says why the last attempt failed.
    public struct RecordingRow: Codable, Sendable, Equatable {
        /// The path as text.
        public var path: String
        /// The path's bytes in base64 if they are not UTF-8, else nil.
        public var pathBase64: String?
        /// File size.
        public var size: Int64
        /// Modification time (mtime).
        public var modified: Int64
        /// Inode of the file.
        public var inode: UInt64
        /// Hash of the file's content.
        public var content: String
        /// The recording's index.
        public var indexID: String
        /// Recording ID.
        public var id: String
        /// When the row was added.
        public var added: String
        /// State of the index.
        public var state: String
        /// Why the last attempt failed; nil if it did not.
        public var error: String?
        /// The change time (ctime); nil if unknown.
        public var changed: Int64?
        /// The device number of the file system the file was on; nil if unknown, `elsewhere` on another machine.
        public var device: UInt64?
        /// When the content was read; nil if unknown.
        public var checked: Int64?
        /// When the file was first found missing, in seconds since 1970; nil while it exists.
        public var missing: Int64?
        /// Stamp of the manifest file that `facts` was taken from, see `CacheDirectory.manifestStamp`.
        public var stamp: String?
        /// Facts about the index that a run reports without opening it, as JSON.
        public var facts: String?

        /// Creates a row; `id` is derived from `content`.
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

        /// The device of a file on another machine, whose index was imported.
        public static let elsewhere = UInt64.max

        /// Creates the row of an index from its manifest; nothing proves that the file still has the content.
        package init(_ manifest: Manifest) {
            self.init(
                path: manifest.path, pathBase64: manifest.pathBase64, size: manifest.fileSize,
                modified: manifest.modified, inode: manifest.inode, content: manifest.key.content,
                indexID: manifest.key.id, added: manifest.created, state: manifest.state)
            changed = manifest.changed
        }

        /// The path's bytes as the file system has them.
        public var pathBytes: [UInt8] { PathText.bytes(path, base64: pathBase64) }

        /// The file's fingerprint when its content was read.
        public var fingerprint: FileFingerprint {
            get {
                FileFingerprint(size: size, modified: modified, changed: changed, inode: inode, device: device)
            }
            set {
                (size, modified, changed) = (newValue.size, newValue.modified, newValue.changed)
                (inode, device) = (newValue.inode, newValue.device)
            }
        }

        /// Returns true if a file with this fingerprint is certain to have the row's content.
        public func proves(_ now: FileFingerprint) -> Bool {
            fingerprint.equals(now) && now.proves(readAt: checked)
        }
    }

    /// Path of the SQLite file, or ":memory:".
    public let path: String
    /// True if the file did not exist before.
    public let isNew: Bool
    /// The new path of a damaged file that was renamed; nil if there was none.
    public let aside: String?
    private let database: DatabaseQueue

    static let version = 5

    /// Opens or creates the catalog; a damaged database is first renamed to `<path>.damaged-<time>`.
    ///
    /// Throws `.newerFormat` for the catalog of a newer program, which is left unchanged.
    public init(path: String) throws {
        self.path = path
        isNew = Posix.linkStatus(path) == nil
        (database, aside) = try Catalog.translated(path) {
            // Several processes that create the file at once are refused without a wait by SQLite itself.
            let wait = LockWaits.Wait(seconds: Catalog.busyTimeout)
            while true {
                do {
                    return (try Catalog.open(path), nil)
                } catch let error as DatabaseError where Catalog.isDamage(error) {
                    return try Catalog.replaceDamaged(path)
                } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                    guard wait.sleepIfTimeIsLeft() else { throw error }
                }
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
        // A libdispatch thread disposes of GRDB's queue; if no thread can be created, that waits forever. The small
        // remainder of the closed connection is leaked instead.
        _ = Unmanaged.passRetained(database)
    }

    /// Creates a catalog in memory, for libraries that can only be read.
    public static func inMemory() throws -> Catalog {
        try translated(":memory:") { Catalog(try open(":memory:")) }
    }

    /// Returns the rows of the file at `path`, compared byte by byte; newest first.
    public func rows(path: [UInt8]) throws -> [RecordingRow] {
        let text = String(validating: path, as: UTF8.self)
        return try rows(
            "WHERE path = ? AND ifnull(pathBase64, '') = ? ORDER BY rowid DESC",
            [text ?? String(decoding: path, as: UTF8.self), text == nil ? Data(path).base64EncodedString() : ""])
    }

    /// Returns the rows of an index, newest first.
    public func rows(indexID: String) throws -> [RecordingRow] {
        try rows("WHERE indexID = ? ORDER BY rowid DESC", [indexID])
    }

    /// Returns the newest row of the file at `path` whose content a file with this fingerprint is certain to have.
    public func find(path: [UInt8], _ fingerprint: FileFingerprint) throws -> RecordingRow? {
        try rows(path: path).first { $0.proves(fingerprint) }
    }

    /// Returns true if a file of this size, in bytes, was indexed.
    public func has(size: Int64) throws -> Bool { try !rows("WHERE size = ?", [size]).isEmpty }

    /// Adds a row, replacing the one with the same path and index, if any.
    public func upsert(_ row: RecordingRow) throws { try write { try Catalog.insert(row, $0) } }

    /// Removes all rows of one index.
    public func remove(indexID: String) throws {
        try write { try $0.execute(sql: "DELETE FROM recording WHERE indexID = ?", arguments: [indexID]) }
    }

    /// Sets, by path and index, when files were first found missing, in seconds since 1970; nil marks them as present
    /// again.
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

    /// Updates, by path and index, the fingerprint and read time of files found to have their row's content.
    public func set(confirmed: [(row: RecordingRow, fingerprint: FileFingerprint, checked: Int64)]) throws {
        guard !confirmed.isEmpty else { return }
        try write { database in
            for (known, fingerprint, checked) in confirmed {
                // A process that indexed the file meanwhile has newer information.
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

    /// Returns all intact rows, sorted by path.
    public func all() throws -> [RecordingRow] { try rows("ORDER BY path, pathBase64, indexID", []) }

    /// Returns all intact rows, oldest first; replacing a row makes it the newest.
    public func history() throws -> [RecordingRow] { try rows("ORDER BY rowid", []) }

    /// Returns true if the catalog has no recordings.
    public func isEmpty() throws -> Bool {
        try read { try Int.fetchOne($0, sql: "SELECT 1 FROM recording LIMIT 1") == nil }
    }

    /// Returns the number of rows that `all` leaves out because their checksum does not match.
    public func changedRows() throws -> Int {
        try read { try Int.fetchOne($0, sql: "SELECT count(*) FROM recording") ?? 0 } - all().count
    }

    /// Drops rows that are damaged or belong to other indexes, and adds one per manifest without a row; one
    /// transaction.
    public func rebuild(from manifests: [Manifest]) throws {
        let known = Set(manifests.map(\.key.id))
        let kept = try history().filter { known.contains($0.indexID) }
        let listed = Set(kept.map(\.indexID))
        let added = manifests.filter { !listed.contains($0.key.id) }.sorted { $0.created < $1.created }
        try write { database in
            try database.execute(sql: "DELETE FROM recording")
            for manifest in added {
                try Catalog.insert(RecordingRow(manifest), database)
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
            // 16 MB, so that pages read by the integrity check below are not read again.
            try database.execute(sql: "PRAGMA cache_size = -16384")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found > version { throw StoreError.newer(path, found: found, known: version) }
            // quick_check skips SQL indexes; a row that its index does not lead to could not be replaced later.
            if try String.fetchOne(database, sql: "PRAGMA integrity_check(1)") != "ok" {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "integrity_check failed")
            }
            if try refusesWriting(database, path, waiting) {
                throw DatabaseError(resultCode: .SQLITE_NOTADB, message: "its header names another format")
            }
            if found < version { try migrate(database) }
            // A table of the same name with other columns was not created by this program.
            for (table, names) in [
                ("recording", columns), (JobRow.table, JobRow.columns), (AnswerRow.table, AnswerRow.columns),
                (RunRow.table, RunRow.columns), (RunFileRow.table, RunFileRow.columns),
                (RunAnswerRow.table, RunAnswerRow.columns), (FileFailureRow.table, FileFailureRow.columns),
                (AlertRow.table, AlertRow.columns), (CoverageRow.table, CoverageRow.columns),
            ] {
                guard try database.tableExists(table), try database.columns(in: table).map(\.name) == names else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a table has other columns")
                }
            }
        }
        return queue
    }

    /// Migrates the tables of any older version to this one, in one transaction.
    private static func migrate(_ database: Database) throws {
        try database.inTransaction(.immediate) {
            // Another process may have migrated the file already.
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found < 2 {
                // Version 1 had only recordings, without checksums: they are rebuilt from the manifests. An inode has
                // 64 bits and is stored as the signed integer with the same bits.
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
            if found < 4 { try database.execute(sql: runTables) }
            if found < 5 { try database.execute(sql: coverageTable) }
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

    /// Migrates from version 2, which had no change time: rows are kept, and their files will be read once more.
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
            // A row that was damaged before stays damaged.
            guard let known = try? decoded(row), try CatalogFields(row).required("checksum") == known.checksumOfVersion2
            else {
                continue
            }
            try database.execute(
                sql: "UPDATE recording SET checksum = ? WHERE rowid = ?",
                arguments: [known.checksum, try CatalogFields(row).number("number")])
        }
    }

    /// Returns true if an SQL statement failed because the file is damaged, not because of a system error.
    private static func isDamage(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
    }

    /// Returns true if the file is writable but SQLite opened it read-only because its header has a later format
    /// number.
    ///
    /// The header is not read directly: closing the file would drop SQLite's locks on it.
    private static func refusesWriting(
        _ database: Database, _ path: String, _ waiting: BusyWait
    ) throws -> Bool {
        // If another process is writing at this moment, the file can be written.
        waiting.isOff = true
        defer { waiting.isOff = false }
        do {
            // A change that is rolled back writes nothing to the file; without a change SQLite only reads.
            try database.execute(sql: "BEGIN IMMEDIATE; PRAGMA user_version = \(version); ROLLBACK")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
            if database.isInsideTransaction { try database.execute(sql: "ROLLBACK") }
            return access(path, W_OK) == 0 && access(Posix.parent(of: path), W_OK) == 0
        } catch let error as DatabaseError where [.SQLITE_BUSY, .SQLITE_LOCKED].contains(error.resultCode) {}
        return false
    }

    /// How long to wait for another process, in seconds.
    fileprivate static let busyTimeout = 5.0

    /// Renames a damaged file; the first process to find it does so, the others open the new file.
    private static func replaceDamaged(_ path: String) throws -> (DatabaseQueue, String?) {
        let folder = Posix.parent(of: path)
        let descriptor = try Posix.open(folder, O_RDONLY | O_DIRECTORY)
        defer { Posix.unlock(descriptor) }
        guard try Posix.lock(descriptor, LOCK_EX, for: busyTimeout, path: folder) else { throw StoreError.busy(path) }
        do {
            return (try open(path), nil)
        } catch let error as DatabaseError where isDamage(error) {
            let aside = try renameDamaged(path)
            return (try open(path), aside)
        }
    }

    /// Returns those of SQLite's files that are not regular files; SQLite would write through a symbolic link.
    private static func strays(_ path: String) -> [String] {
        path == ":memory:"
            ? [] : ["", "-wal", "-shm", "-journal"].map { path + $0 }.filter { Posix.otherKind($0) != nil }
    }

    /// Renames the damaged file and what SQLite keeps with it; returns the new path.
    private static func renameDamaged(_ path: String) throws -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let aside = "\(path).damaged-\(now.tv_sec).\(now.tv_nsec)"
        // If the catalog itself is a regular file, only the strays are renamed, so that its answers are kept.
        let companions = strays(path)
        if !companions.isEmpty, Posix.otherKind(path) == nil {
            for companion in companions {
                let target = aside + companion.dropFirst(path.count)
                if rename(companion, target) != 0 { throw StoreError.system(.last, "rename", companion) }
            }
            return aside + (companions.first ?? path).dropFirst(path.count)
        }
        if rename(path, aside) != 0 { throw StoreError.system(.last, "rename", path) }
        // The WAL belongs to the damaged file; otherwise it would be replayed into the new one.
        for suffix in ["-wal", "-shm"] where Posix.linkStatus(path + suffix) != nil {
            if rename(path + suffix, aside + suffix) != 0 { throw StoreError.system(.last, "rename", path + suffix) }
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
            // SQLite keeps no checksums: a row whose checksum does not match is treated as absent.
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

    /// Decodes a row of `columns`; a value of another type throws, where GRDB's typed subscripts would trap.
    ///
    /// Columns are read by position: looking them up by name takes longer than everything else.
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

    /// Returns what is wrong with the file at `path`; nil if it is intact or missing. Changes nothing.
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
            let report = try queue.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(3)") }
            return report == ["ok"] ? nil : report.joined(separator: "; ")
        } catch let error as DatabaseError where isDamage(error) {
            return error.message ?? error.description
        } catch {
            // An error while reading does not prove that the catalog is damaged.
            return nil
        }
    }

    /// Returns true if the file system is full; SQLite reports an I/O error if it cannot create the WAL index (32 KiB).
    private static func hasNoRoom(_ path: String) -> Bool {
        let folder = Posix.parent(of: path)
        guard path != ":memory:", let free = try? Posix.freeBytes(at: folder) else { return false }
        return free < 64 << 10 || Posix.lacksInodes(at: folder)
    }

    /// Runs `body` and converts SQLite's errors to `StoreError`.
    private static func translated<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError {
            let code: StoreError.Code =
                switch error.resultCode {
                case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged
                case .SQLITE_FULL: .noSpace
                case .SQLITE_BUSY, .SQLITE_LOCKED: LockWaits.isEnding ? .interrupted : .locked
                default: hasNoRoom(path) ? .noSpace : .io
                }
            if code == .interrupted { throw StoreError.interrupted(path) }
            if code == .noSpace {
                let what = Posix.lacksInodes(at: Posix.parent(of: path)) ? "no inodes are left" : "no space is left"
                throw StoreError.catalog(
                    path, "\(what) on its file system; remove indexes or other files", code: code,
                    underlying: error)
            }
            throw StoreError.catalog(path, error.message ?? error.description, code: code, underlying: error)
        }
    }
}

/// Waits while another process holds the file; SQLite's own wait could not be ended by a signal.
private final class BusyWait: Sendable {
    private let state = Mutex<(wait: LockWaits.Wait, isOff: Bool)>((.init(seconds: 0), false))

    /// True if it does not wait at all.
    var isOff: Bool {
        get { state.withLock { $0.isOff } }
        set { state.withLock { $0.isOff = newValue } }
    }

    var mode: Database.BusyMode {
        .callback { tries in
            self.state.withLock { state in
                if tries == 0 { state.wait = .init(seconds: Catalog.busyTimeout) }
                return !state.isOff && state.wait.sleepIfTimeIsLeft()
            }
        }
    }
}
