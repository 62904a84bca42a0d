import GRDB

extension Catalog {
    /// A file that a pipeline could not index.
    public struct FileFailureRow: Sendable, Equatable, Codable, CatalogRow {
        /// The pipeline, as in `RunRow`.
        public var pipeline: String
        /// The file's path as text.
        public var path: String
        /// Identifies the file's state: with another one it is tried at once.
        public var stamp: String
        /// How many times in a row it failed in this state.
        public var tries: Int64
        /// When it was last tried, in seconds since 1970.
        public var last: Int64
        /// Code of the last error.
        public var code: String
        /// The last error's text.
        public var message: String

        /// Creates a row with these fields.
        public init(
            pipeline: String, path: String, stamp: String, tries: Int64, last: Int64, code: String, message: String
        ) {
            self.pipeline = pipeline
            self.path = path
            self.stamp = stamp
            self.tries = tries
            self.last = last
            self.code = code
            self.message = message
        }

        static let table = "file_failure"
        static let columns = ["pipeline", "path", "stamp", "tries", "last", "code", "message", "checksum"]

        var values: [(any DatabaseValueConvertible)?] { [pipeline, path, stamp, tries, last, code, message] }

        init(fields: CatalogFields) throws {
            self.init(
                pipeline: try fields.required("pipeline"), path: try fields.required("path"),
                stamp: try fields.required("stamp"), tries: try fields.number("tries"),
                last: try fields.number("last"), code: try fields.required("code"),
                message: try fields.required("message"))
        }
    }

    /// Adds a failure, or replaces the one of the same pipeline and path.
    public func record(failure: FileFailureRow) throws {
        try write { try Catalog.insert(failure, $0) }
    }

    /// Forgets a file's failure, if there is one.
    public func removeFailure(pipeline: String, path: String) throws {
        try write {
            try $0.execute(
                sql: "DELETE FROM file_failure WHERE pipeline = ? AND path = ?", arguments: [pipeline, path])
        }
    }

    /// Returns the files that failed, in the order of their paths.
    ///
    /// - Parameter pipeline: only this pipeline's; nil: all.
    public func failures(pipeline: String? = nil) throws -> [FileFailureRow] {
        try select("WHERE ? IS NULL OR pipeline = ? ORDER BY path, pipeline", [pipeline, pipeline])
    }
}
