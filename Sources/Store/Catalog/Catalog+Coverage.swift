import GRDB

extension Catalog {
    /// Up to which time the answers to a pipeline's question for what is new cover a recording.
    public struct CoverageRow: Sendable, Equatable, Codable, CatalogRow {
        /// The pipeline, as in `RunRow`.
        public var pipeline: String
        /// Identifies the question as it is asked, and the settings of the index.
        public var question: String
        /// The file's path as text.
        public var path: String
        /// The index that the question was asked about.
        public var indexID: String
        /// SHA-256 of the file's content in hex, and its size in bytes.
        public var content: String
        public var size: Int64
        /// End of what was asked about, in seconds on the file's timeline.
        public var end: Double

        /// Creates a row with these fields.
        public init(
            pipeline: String, question: String, path: String, indexID: String, content: String, size: Int64, end: Double
        ) {
            self.pipeline = pipeline
            self.question = question
            self.path = path
            self.indexID = indexID
            self.content = content
            self.size = size
            self.end = end
        }

        static let table = "run_coverage"
        static let columns = [
            "pipeline", "question", "path", "indexID", "content", "size", "covered", "checksum",
        ]

        /// The end is text, from which it is read without rounding.
        var values: [(any DatabaseValueConvertible)?] {
            [pipeline, question, path, indexID, content, size, "\(end)"]
        }

        init(fields: CatalogFields) throws {
            guard let end = Double(try fields.required("covered")), end.isFinite else {
                throw fields.damaged("covered")
            }
            self.init(
                pipeline: try fields.required("pipeline"), question: try fields.required("question"),
                path: try fields.required("path"), indexID: try fields.required("indexID"),
                content: try fields.required("content"), size: try fields.number("size"), end: end)
        }
    }

    static let coverageTable = """
        CREATE TABLE IF NOT EXISTS run_coverage (
            pipeline TEXT NOT NULL, question TEXT NOT NULL, path TEXT NOT NULL, indexID TEXT NOT NULL,
            content TEXT NOT NULL, size INTEGER NOT NULL, covered TEXT NOT NULL, checksum TEXT NOT NULL,
            PRIMARY KEY (pipeline, question, path, indexID));
        CREATE INDEX IF NOT EXISTS run_coverage_path ON run_coverage (pipeline, path);
        CREATE INDEX IF NOT EXISTS run_coverage_index ON run_coverage (pipeline, indexID);
        """

    /// Returns what a pipeline's questions cover of the recordings at a path and of an index; the earliest row first.
    public func coverage(pipeline: String, path: String, indexID: String) throws -> [CoverageRow] {
        try select("WHERE pipeline = ? AND (path = ? OR indexID = ?) ORDER BY rowid", [pipeline, path, indexID])
    }
}
