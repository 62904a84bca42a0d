import GRDB

extension Catalog {
    /// One job and its outcome.
    ///
    /// `kind` is `index` or a name chosen by the caller; `state` is `running`, `done`, `partial` or `failed`; times are
    /// in RFC 3339.
    public struct JobRow: Sendable, Equatable, Codable {
        /// Unique ID of the job.
        public var id: String
        /// What the job does.
        public var kind: String
        /// Path of the file the job works on.
        public var path: String
        /// Current state.
        public var state: String
        /// Start time.
        public var started: String
        /// End time; nil while the job is running.
        public var ended: String?
        /// Why the job failed; nil if it did not.
        public var error: String?

        /// Creates a job row with these fields.
        public init(
            id: String, kind: String, path: String, state: String, started: String, ended: String? = nil,
            error: String? = nil
        ) {
            self.id = id
            self.kind = kind
            self.path = path
            self.state = state
            self.started = started
            self.ended = ended
            self.error = error
        }

        static let table = "job"
        static let columns = ["id", "kind", "path", "state", "started", "ended", "error"]
    }

    /// A given answer; `evidence` and `segment` are JSON, `created` is in RFC 3339.
    public struct AnswerRow: Sendable, Equatable, Codable, CatalogRow {
        /// Unique ID of the answer.
        public var id: String
        /// The index the answer was generated from.
        public var indexID: String
        /// When the answer was generated.
        public var created: String
        /// The question's text.
        public var question: String
        /// The answer's text.
        public var answer: String
        /// False if what was asked for was not found in the recording.
        public var found: Bool
        /// The moments the answer was read from, as JSON.
        public var evidence: String
        /// What the question was about, as JSON: a window's start and end, or an object with further fields of the
        /// caller.
        public var segment: String?
        /// The name of the model that answered.
        public var model: String

        /// Creates an answer row with these fields.
        public init(
            id: String, indexID: String, created: String, question: String, answer: String, found: Bool,
            evidence: String = "[]", segment: String? = nil, model: String
        ) {
            self.id = id
            self.indexID = indexID
            self.created = created
            self.question = question
            self.answer = answer
            self.found = found
            self.evidence = evidence
            self.segment = segment
            self.model = model
        }

        static let table = "answer"
        static let columns = [
            "id", "indexID", "created", "question", "answer", "found", "evidence", "segment", "model", "checksum",
        ]

        var values: [(any DatabaseValueConvertible)?] {
            [id, indexID, created, question, answer, found ? 1 : 0, evidence, segment, model]
        }

        init(fields: CatalogFields) throws {
            self.init(
                id: try fields.required("id"), indexID: try fields.required("indexID"),
                created: try fields.required("created"), question: try fields.required("question"),
                answer: try fields.required("answer"), found: try fields.number("found") != 0,
                evidence: try fields.required("evidence"), segment: try fields.text("segment"),
                model: try fields.required("model"))
        }
    }

    /// Adds a job, or replaces the one with the same ID.
    public func record(job: JobRow) throws {
        try write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?)",
                arguments: [job.id, job.kind, job.path, job.state, job.started, job.ended, job.error])
        }
    }

    /// Returns the newest jobs, the last started first.
    ///
    /// - Parameter limit: the largest number of jobs to return.
    public func jobs(limit: Int = 100) throws -> [JobRow] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM job ORDER BY started DESC, id LIMIT ?", arguments: [max(limit, 0)]
            ).compactMap { row in
                let fields = CatalogFields(row)
                return try? JobRow(
                    id: fields.required("id"), kind: fields.required("kind"), path: fields.required("path"),
                    state: fields.required("state"), started: fields.required("started"),
                    ended: fields.text("ended"), error: fields.text("error"))
            }
        }
    }

    /// Adds an answer, or replaces the one with the same ID.
    public func record(answer: AnswerRow) throws { try write { try Catalog.insert(answer, $0) } }

    /// Returns the answers generated from an index, oldest first.
    public func answers(indexID: String) throws -> [AnswerRow] {
        try select("WHERE indexID = ? ORDER BY created, rowid", [indexID])
    }
}

extension Catalog.RecordingRow {
    /// XXH3-64 of all fields, in hex.
    var checksum: String {
        CatalogFields.checksum(
            fields2 + [
                changed.map { String($0) }, device.map { String($0) }, checked.map { String($0) },
                missing.map { String($0) }, stamp, facts,
            ])
    }

    /// The checksum as format version 2 computed it.
    package var checksumOfVersion2: String { CatalogFields.checksum(fields2) }

    private var fields2: [String?] {
        [path, pathBase64, String(size), String(modified), String(inode), content, indexID, id, added, state, error]
    }
}

/// Reads a row's columns; a value of another type throws, where GRDB's typed subscripts would trap.
struct CatalogFields {
    private let row: Row

    init(_ row: Row) { self.row = row }

    /// Returns the XXH3-64 of the fields in hex, each preceded by its length; nil has length -1, so it differs from an
    /// empty text.
    static func checksum(_ fields: [String?]) -> String {
        var bytes: [UInt8] = []
        for field in fields {
            bytes.put(Int64(field?.utf8.count ?? -1))
            bytes += Array((field ?? "").utf8)
        }
        return Checksum.hex(Checksum.of(bytes))
    }

    func text(_ name: String) throws -> String? { try text(row[name], name) }
    func text(_ column: Int) throws -> String? { try text(row[column], "\(column)") }

    func required(_ name: String) throws -> String {
        guard let text = try text(name) else { throw damaged(name) }
        return text
    }

    func required(_ column: Int) throws -> String {
        guard let text = try text(column) else { throw damaged("\(column)") }
        return text
    }

    func number(_ name: String) throws -> Int64 { try number(row[name], name) }
    func number(_ column: Int) throws -> Int64 { try number(row[column], "\(column)") }

    func optionalNumber(_ column: Int) throws -> Int64? {
        let value: DatabaseValue = row[column]
        return value.isNull ? nil : try number(value, "\(column)")
    }

    private func text(_ value: DatabaseValue, _ name: @autoclosure () -> String) throws -> String? {
        if value.isNull { return nil }
        guard let text = String.fromDatabaseValue(value) else { throw damaged(name()) }
        return text
    }

    private func number(_ value: DatabaseValue, _ name: @autoclosure () -> String) throws -> Int64 {
        guard let number = Int64.fromDatabaseValue(value) else { throw damaged(name()) }
        return number
    }

    func damaged(_ name: String) -> DatabaseError {
        DatabaseError(resultCode: .SQLITE_CORRUPT, message: "column \(name) has a value of another type")
    }
}
