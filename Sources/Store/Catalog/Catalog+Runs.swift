import GRDB

extension Catalog {
    /// One run of a pipeline.
    ///
    /// `pipeline` identifies the pipeline: its `name`, or the absolute path of its file. `state` is `running`, `done`,
    /// `partial`, `stopped` or `failed`; a run that is `running` and whose lock is free was killed. Times are in RFC
    /// 3339, `summary` is JSON.
    public struct RunRow: Sendable, Equatable, Codable {
        /// Unique ID of the run.
        public var id: String
        /// The pipeline.
        public var pipeline: String
        /// Current state.
        public var state: String
        /// Start time.
        public var started: String
        /// End time; nil while the run is going on.
        public var ended: String?
        /// Counts and times, as JSON; nil while the run is going on.
        public var summary: String?
        /// Why the run failed; nil if it did not.
        public var error: String?

        /// Creates a run row with these fields.
        public init(
            id: String, pipeline: String, state: String, started: String, ended: String? = nil, summary: String? = nil,
            error: String? = nil
        ) {
            self.id = id
            self.pipeline = pipeline
            self.state = state
            self.started = started
            self.ended = ended
            self.summary = summary
            self.error = error
        }

        static let table = "run"
        static let columns = ["id", "pipeline", "state", "started", "ended", "summary", "error", "checksum"]

        fileprivate var checksum: String {
            CatalogFields.checksum([id, pipeline, state, started, ended, summary, error])
        }
    }

    /// What a run did with one file: only files that were indexed, asked about or that failed have a row.
    public struct RunFileRow: Sendable, Equatable, Codable {
        /// The run.
        public var run: String
        /// The file's path as text.
        public var path: String
        /// `new`, `resumed`, `unchanged`, `skipped`, `stopped` or `failed`.
        public var action: String
        /// The index; nil if there is none.
        public var indexID: String?
        /// Frames encoded by the run.
        public var frames: Int64
        /// Answers given by the run.
        public var answers: Int64
        /// Milliseconds spent on the file.
        public var milliseconds: Int64
        /// Code and text of the error, as `code: message`; nil if there was none.
        public var error: String?

        /// Creates a row with these fields.
        public init(
            run: String, path: String, action: String, indexID: String? = nil, frames: Int64 = 0, answers: Int64 = 0,
            milliseconds: Int64 = 0, error: String? = nil
        ) {
            self.run = run
            self.path = path
            self.action = action
            self.indexID = indexID
            self.frames = frames
            self.answers = answers
            self.milliseconds = milliseconds
            self.error = error
        }

        static let table = "run_file"
        static let columns = [
            "run", "path", "action", "indexID", "frames", "answers", "milliseconds", "error", "checksum",
        ]

        /// Decodes a row; nil if it is damaged.
        fileprivate init?(fields: CatalogFields) {
            guard
                let file = try? RunFileRow(
                    run: fields.required("run"), path: fields.required("path"), action: fields.required("action"),
                    indexID: fields.text("indexID"), frames: fields.number("frames"),
                    answers: fields.number("answers"), milliseconds: fields.number("milliseconds"),
                    error: fields.text("error")),
                (try? fields.required("checksum")) == file.checksum
            else { return nil }
            self = file
        }

        fileprivate var checksum: String {
            CatalogFields.checksum([
                run, path, action, indexID, String(frames), String(answers), String(milliseconds), error,
            ])
        }
    }

    static let runTables = """
        CREATE TABLE IF NOT EXISTS run (
            id TEXT NOT NULL PRIMARY KEY, pipeline TEXT NOT NULL, state TEXT NOT NULL, started TEXT NOT NULL,
            ended TEXT, summary TEXT, error TEXT, checksum TEXT NOT NULL);
        CREATE INDEX IF NOT EXISTS run_pipeline ON run (pipeline, started);
        CREATE TABLE IF NOT EXISTS run_file (
            run TEXT NOT NULL, path TEXT NOT NULL, action TEXT NOT NULL, indexID TEXT, frames INTEGER NOT NULL,
            answers INTEGER NOT NULL, milliseconds INTEGER NOT NULL, error TEXT, checksum TEXT NOT NULL,
            PRIMARY KEY (run, path));
        CREATE TABLE IF NOT EXISTS run_answer (
            pipeline TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, indexID TEXT NOT NULL,
            questionID TEXT NOT NULL, line TEXT NOT NULL, output TEXT, checksum TEXT NOT NULL,
            PRIMARY KEY (pipeline, key));
        CREATE INDEX IF NOT EXISTS run_answer_run ON run_answer (run);
        CREATE TABLE IF NOT EXISTS file_failure (
            pipeline TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, tries INTEGER NOT NULL,
            last INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, checksum TEXT NOT NULL,
            PRIMARY KEY (pipeline, path));
        CREATE TABLE IF NOT EXISTS run_alert (
            pipeline TEXT NOT NULL, key TEXT NOT NULL, alert TEXT NOT NULL, run TEXT NOT NULL, payload TEXT NOT NULL,
            state TEXT NOT NULL, tries INTEGER NOT NULL, next INTEGER NOT NULL, error TEXT, checksum TEXT NOT NULL,
            PRIMARY KEY (pipeline, key, alert));
        """

    /// Adds a run, or replaces the one with the same ID.
    public func record(run: RunRow) throws {
        try write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    run.id, run.pipeline, run.state, run.started, run.ended, run.summary, run.error, run.checksum,
                ])
        }
    }

    /// Adds what a run did with a file, or replaces what is known of it.
    public func record(file: RunFileRow) throws {
        try write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO run_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    file.run, file.path, file.action, file.indexID, file.frames, file.answers, file.milliseconds,
                    file.error, file.checksum,
                ])
        }
    }

    /// Returns the newest runs, the last started first.
    ///
    /// - Parameters:
    ///   - pipeline: only this pipeline's; nil: all.
    ///   - limit: the largest number of runs to return.
    public func runs(pipeline: String? = nil, limit: Int = 100) throws -> [RunRow] {
        try read { database in
            try Row.fetchAll(
                database,
                sql: "SELECT * FROM run WHERE ? IS NULL OR pipeline = ? ORDER BY started DESC, rowid DESC LIMIT ?",
                arguments: [pipeline, pipeline, max(limit, 0)]
            ).compactMap { row in
                let fields = CatalogFields(row)
                guard
                    let run = try? RunRow(
                        id: fields.required("id"), pipeline: fields.required("pipeline"),
                        state: fields.required("state"), started: fields.required("started"),
                        ended: fields.text("ended"), summary: fields.text("summary"), error: fields.text("error")),
                    try fields.required("checksum") == run.checksum
                else { return nil }
                return run
            }
        }
    }

    /// Returns what a run did with its files, in the order of their paths.
    public func files(ofRun id: String) throws -> [RunFileRow] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM run_file WHERE run = ? ORDER BY path", arguments: [id]
            ).compactMap { RunFileRow(fields: CatalogFields($0)) }
        }
    }

    /// Returns what runs did with an index, with their pipeline, the last started run first.
    public func files(ofIndex id: String) throws -> [(pipeline: String, file: RunFileRow)] {
        try read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT run_file.*, run.pipeline AS pipeline FROM run_file JOIN run ON run.id = run_file.run
                    WHERE indexID = ? ORDER BY run.started DESC, run.rowid DESC, path
                    """,
                arguments: [id]
            ).compactMap { row in
                let fields = CatalogFields(row)
                guard let file = RunFileRow(fields: fields), let pipeline = try? fields.required("pipeline") else {
                    return nil
                }
                return (pipeline, file)
            }
        }
    }
}
