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

    /// The generated columns; the types are SQLite's.
    private static let columns = [
        "time TEXT AS (json_extract(json, '$.time'))",
        "run_id TEXT AS (json_extract(json, '$.run_id'))",
        "question_id TEXT AS (json_extract(json, '$.question_id'))",
        "recording TEXT AS (json_extract(json, '$.recording.id'))",
        "path TEXT AS (json_extract(json, '$.recording.path'))",
        "question TEXT AS (json_extract(json, '$.question'))",
        "answer TEXT AS (json_extract(json, '$.answer'))",
        "found INTEGER AS (json_extract(json, '$.found'))",
        "window_start REAL AS (json_extract(json, '$.segment[0]'))",
        "window_end REAL AS (json_extract(json, '$.segment[1]'))",
        "evidence_start REAL AS (json_extract(json, '$.evidence[0].start'))",
        "evidence_end REAL AS (json_extract(json, '$.evidence[0].end'))",
        "evidence TEXT AS (json_extract(json, '$.evidence'))",
        "model TEXT AS (json_extract(json, '$.model'))",
        "kind TEXT AS (ifnull(json_extract(json, '$.kind'), 'answer'))",
        "score REAL AS (ifnull(json_extract(json, '$.score'), json_extract(json, '$.evidence[0].score')))",
        "camera TEXT AS (json_extract(json, '$.recording.camera'))",
        // Of the window, else of the strongest evidence, else of the range.
        "start_clock TEXT AS (\(clock(0, "start")))", "end_clock TEXT AS (\(clock(1, "end")))",
    ]

    private static func clock(_ end: Int, _ name: String) -> String {
        "coalesce(json_extract(json, '$.segment_clock[\(end)]'), json_extract(json, '$.evidence[0].\(name)_clock'), "
            + "json_extract(json, '$.range_clock[\(end)]'))"
    }

    /// Opens or creates the database and its table; adds the columns that an earlier version did not have.
    public init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS answer (
                        pipeline TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
                        \(Self.columns.joined(separator: ", ")),
                        PRIMARY KEY (pipeline, key));
                    """)
            let known = Set(try String.fetchAll(database, sql: "SELECT name FROM pragma_table_xinfo('answer')"))
            for column in Self.columns where !known.contains(String(column.prefix { $0 != " " })) {
                try database.execute(sql: "ALTER TABLE answer ADD COLUMN \(column)")
            }
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
