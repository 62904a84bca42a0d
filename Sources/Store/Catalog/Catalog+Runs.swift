import GRDB

extension Catalog {
    /// One run of a pipeline.
    ///
    /// `pipeline` identifies the pipeline: its `name`, or the absolute path of its file. `state` is `running`, `done`,
    /// `partial`, `stopped` or `failed`; a run that is `running` and whose lock is free was killed. Times are in RFC
    /// 3339, `summary` is JSON.
    public struct RunRow: Sendable, Equatable, Codable, CatalogRow {
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

        var values: [(any DatabaseValueConvertible)?] { [id, pipeline, state, started, ended, summary, error] }

        init(fields: CatalogFields) throws {
            self.init(
                id: try fields.required("id"), pipeline: try fields.required("pipeline"),
                state: try fields.required("state"), started: try fields.required("started"),
                ended: try fields.text("ended"), summary: try fields.text("summary"), error: try fields.text("error"))
        }
    }

    /// What a run did with one file: only files that were indexed, asked about or that failed have a row.
    public struct RunFileRow: Sendable, Equatable, Codable, CatalogRow {
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

        var values: [(any DatabaseValueConvertible)?] {
            [run, path, action, indexID, frames, answers, milliseconds, error]
        }

        init(fields: CatalogFields) throws {
            self.init(
                run: try fields.required("run"), path: try fields.required("path"),
                action: try fields.required("action"), indexID: try fields.text("indexID"),
                frames: try fields.number("frames"), answers: try fields.number("answers"),
                milliseconds: try fields.number("milliseconds"), error: try fields.text("error"))
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
    public func record(run: RunRow) throws { try write { try Catalog.insert(run, $0) } }

    /// Adds what a run did with a file, or replaces what is known of it.
    public func record(file: RunFileRow) throws { try write { try Catalog.insert(file, $0) } }

    /// Returns the newest runs, the last started first.
    ///
    /// - Parameters:
    ///   - pipeline: only this pipeline's; nil: all.
    ///   - limit: the largest number of runs to return.
    public func runs(pipeline: String? = nil, limit: Int = 100) throws -> [RunRow] {
        try select(
            "WHERE ? IS NULL OR pipeline = ? ORDER BY started DESC, rowid DESC LIMIT ?",
            [pipeline, pipeline, max(limit, 0)])
    }

    /// Returns what a run did with its files, in the order of their paths.
    public func files(ofRun id: String) throws -> [RunFileRow] { try select("WHERE run = ? ORDER BY path", [id]) }

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
                guard let file = Catalog.decode(row, as: RunFileRow.self),
                    let pipeline = try? CatalogFields(row).required("pipeline")
                else { return nil }
                return (pipeline, file)
            }
        }
    }
}
