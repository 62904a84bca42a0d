import GRDB

extension Catalog {
    /// An answer of a pipeline, identified by the pipeline and everything the answer depends on.
    public struct RunAnswerRow: Sendable, Equatable, Codable, CatalogRow {
        /// The pipeline, as in `RunRow`.
        public var pipeline: String
        /// Identifies the answer within its pipeline.
        public var key: String
        /// The run that gave it.
        public var run: String
        /// The index it was generated from.
        public var indexID: String
        /// The pipeline's ID of the question.
        public var questionID: String
        /// The answer as a JSON object on one line; empty for a key that only says that something is done.
        public var line: String
        /// The outputs that do not have the answer yet; nil once all are known to have it.
        public var output: String?

        /// Creates a row with these fields.
        public init(
            pipeline: String, key: String, run: String, indexID: String, questionID: String, line: String,
            output: String?
        ) {
            self.pipeline = pipeline
            self.key = key
            self.run = run
            self.indexID = indexID
            self.questionID = questionID
            self.line = line
            self.output = output
        }

        static let table = "run_answer"
        static let columns = ["pipeline", "key", "run", "indexID", "questionID", "line", "output", "checksum"]

        var values: [(any DatabaseValueConvertible)?] { [pipeline, key, run, indexID, questionID, line, output] }

        /// What is still to be written changes without the answer.
        var checksum: String { CatalogFields.checksum([pipeline, key, run, indexID, questionID, line]) }

        init(fields: CatalogFields) throws {
            self.init(
                pipeline: try fields.required("pipeline"), key: try fields.required("key"),
                run: try fields.required("run"), indexID: try fields.required("indexID"),
                questionID: try fields.required("questionID"), line: try fields.required("line"),
                output: try fields.text("output"))
        }
    }

    /// Adds answers, or replaces those with the same pipeline and key, with their findings and with what they cover;
    /// one transaction.
    public func record(
        answers: [RunAnswerRow], alerts: [AlertRow] = [], coverage: [CoverageRow] = []
    ) throws {
        guard !answers.isEmpty else { return }
        try write { database in
            try Catalog.insert(answers, database)
            try Catalog.insert(alerts, database, or: .ignore)
            try Catalog.insert(coverage, database)
        }
        CrashPoint.reach(.answersRecorded)
    }

    /// Records that the lines of these keys are in their output.
    ///
    /// - Parameter rest: what is still to be written; nil: nothing.
    public func setWritten(_ keys: [String], pipeline: String, rest: String? = nil) throws {
        guard !keys.isEmpty else { return }
        CrashPoint.reach(.answersAppended)
        try write { database in
            for key in keys {
                try database.execute(
                    sql: "UPDATE run_answer SET output = ? WHERE pipeline = ? AND key = ?",
                    arguments: [rest, pipeline, key])
            }
        }
    }

    /// Returns the keys of all answers of a pipeline whose row is intact.
    public func answerKeys(pipeline: String) throws -> Set<String> {
        try read { database in
            var keys: Set<String> = []
            let rows = try Row.fetchCursor(
                database, sql: "SELECT * FROM run_answer WHERE pipeline = ?", arguments: [pipeline])
            while let row = try rows.next() {
                if let answer = Catalog.decode(row, as: RunAnswerRow.self) { keys.insert(answer.key) }
            }
            return keys
        }
    }

    /// Returns answers of a pipeline, in the order in which they were given.
    ///
    /// - Parameters:
    ///   - run: only those of this run; nil: of all.
    ///   - indexID: only those from this index; nil: of all.
    ///   - unwritten: only those whose line may be missing from their output.
    public func answers(
        pipeline: String, run: String? = nil, indexID: String? = nil, unwritten: Bool = false
    ) throws -> [RunAnswerRow] {
        try select(
            """
            WHERE pipeline = ? AND (? IS NULL OR run = ?) AND (? IS NULL OR indexID = ?)
            \(unwritten ? "AND output IS NOT NULL" : "") ORDER BY rowid
            """, [pipeline, run, run, indexID, indexID])
    }
}
