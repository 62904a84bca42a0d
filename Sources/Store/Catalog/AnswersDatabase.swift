import GRDB

/// An SQLite file with a pipeline's answers for other programs, one row per answer.
///
/// The table `answer` has the key and, as generated columns, the values of the answer's JSON. All methods throw
/// GRDB's errors.
public final class AnswersDatabase: Sendable {
    /// One answer.
    public struct Row: Sendable {
        /// The pipeline that gave it.
        public var pipeline: String
        /// Identifies the answer within its pipeline.
        public var key: String
        /// The answer as a JSON object.
        public var line: String

        /// Creates a row with these fields.
        public init(pipeline: String, key: String, line: String) {
            (self.pipeline, self.key, self.line) = (pipeline, key, line)
        }
    }

    private let database: DatabaseQueue

    /// Opens or creates the database and its table.
    public init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.write {
            try $0.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS answer (
                        pipeline TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
                        time TEXT AS (json_extract(json, '$.time')),
                        run_id TEXT AS (json_extract(json, '$.run_id')),
                        question_id TEXT AS (json_extract(json, '$.question_id')),
                        recording TEXT AS (json_extract(json, '$.recording.id')),
                        path TEXT AS (json_extract(json, '$.recording.path')),
                        question TEXT AS (json_extract(json, '$.question')),
                        answer TEXT AS (json_extract(json, '$.answer')),
                        found INTEGER AS (json_extract(json, '$.found')),
                        window_start REAL AS (json_extract(json, '$.segment[0]')),
                        window_end REAL AS (json_extract(json, '$.segment[1]')),
                        evidence_start REAL AS (json_extract(json, '$.evidence[0].start')),
                        evidence_end REAL AS (json_extract(json, '$.evidence[0].end')),
                        evidence TEXT AS (json_extract(json, '$.evidence')),
                        model TEXT AS (json_extract(json, '$.model')),
                        PRIMARY KEY (pipeline, key));
                    """)
        }
    }

    deinit {
        try? database.close()
        // As in `Catalog`: GRDB's queue is not released.
        _ = Unmanaged.passRetained(database)
    }

    /// Adds an answer, or replaces the one with the same key.
    public func insert(_ row: Row) throws {
        try database.write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO answer (pipeline, key, json) VALUES (?, ?, ?)",
                arguments: [row.pipeline, row.key, row.line])
        }
    }
}
