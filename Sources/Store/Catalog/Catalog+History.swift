import GRDB

extension Catalog {
    /// Something that was to be done, and what became of it.
    ///
    /// `kind` is `index` or what the caller calls it, `state` `running`, `done`, `partial` or `failed`; times in RFC 3339.
    public struct JobRow: Sendable, Equatable, Codable {
        public var id: String
        public var kind: String
        public var path: String
        public var state: String
        public var started: String
        public var ended: String?
        public var error: String?

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

    /// An answer that was given; `evidence` and `segment` are JSON, `created` in RFC 3339.
    public struct AnswerRow: Sendable, Equatable, Codable {
        public var id: String
        public var indexID: String
        public var created: String
        public var question: String
        public var answer: String
        public var found: Bool
        public var evidence: String
        /// What was asked about, as JSON: a window's start and end, or an object with what else the caller keeps.
        public var segment: String?
        public var model: String

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
    }

    /// Adds a job, or replaces the one with its id.
    public func record(job: JobRow) throws {
        try write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?)",
                arguments: [job.id, job.kind, job.path, job.state, job.started, job.ended, job.error])
        }
    }

    /// The newest jobs, the last one started first.
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

    /// Adds an answer, or replaces the one with its id.
    public func record(answer: AnswerRow) throws {
        try write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    answer.id, answer.indexID, answer.created, answer.question, answer.answer, answer.found,
                    answer.evidence, answer.segment, answer.model, answer.checksum,
                ])
        }
    }

    /// What was answered from an index, the oldest first.
    public func answers(indexID: String) throws -> [AnswerRow] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM answer WHERE indexID = ? ORDER BY created, rowid", arguments: [indexID]
            ).compactMap { try? AnswerRow(fields: CatalogFields($0)) }
        }
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

    /// The one of version 2.
    package var checksumOfVersion2: String { CatalogFields.checksum(fields2) }

    private var fields2: [String?] {
        [path, pathBase64, String(size), String(modified), String(inode), content, indexID, id, added, state, error]
    }
}

extension Catalog.AnswerRow {
    /// XXH3-64 of all fields, in hex.
    var checksum: String {
        CatalogFields.checksum([id, indexID, created, question, answer, found ? "1" : "0", evidence, segment, model])
    }

    /// Nil for a row in which a bit has changed.
    fileprivate init?(fields: CatalogFields) throws {
        self.init(
            id: try fields.required("id"), indexID: try fields.required("indexID"),
            created: try fields.required("created"), question: try fields.required("question"),
            answer: try fields.required("answer"), found: try fields.number("found") != 0,
            evidence: try fields.required("evidence"), segment: try fields.text("segment"),
            model: try fields.required("model"))
        guard try fields.required("checksum") == checksum else { return nil }
    }
}

/// A row's columns without the traps that GRDB's typed subscripts have for a value of another type.
struct CatalogFields {
    private let row: Row

    init(_ row: Row) { self.row = row }

    /// Over each field with its length before it; nil is told from an empty text.
    static func checksum(_ fields: [String?]) -> String {
        var bytes: [UInt8] = []
        for field in fields {
            bytes.put(Int64(field?.utf8.count ?? -1))
            bytes += Array((field ?? "").utf8)
        }
        return Checksum.hex(Checksum.of(bytes))
    }

    func text(_ name: String) throws -> String? { try text(row[name], name) }
    func text(_ place: Int) throws -> String? { try text(row[place], "\(place)") }

    func required(_ name: String) throws -> String {
        guard let text = try text(name) else { throw damaged(name) }
        return text
    }

    func required(_ place: Int) throws -> String {
        guard let text = try text(place) else { throw damaged("\(place)") }
        return text
    }

    func number(_ name: String) throws -> Int64 { try number(row[name], name) }
    func number(_ place: Int) throws -> Int64 { try number(row[place], "\(place)") }

    func optionalNumber(_ place: Int) throws -> Int64? {
        let value: DatabaseValue = row[place]
        return value.isNull ? nil : try number(value, "\(place)")
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

    private func damaged(_ name: String) -> DatabaseError {
        DatabaseError(resultCode: .SQLITE_CORRUPT, message: "column \(name) has a value of another type")
    }
}
