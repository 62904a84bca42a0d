import GRDB

extension Catalog {
    /// A message of a pipeline about one finding.
    public struct AlertRow: Sendable, Equatable, Codable, CatalogRow {
        /// The pipeline, as in `RunRow`.
        public var pipeline: String
        /// Identifies the finding: the answer's key, or the run's ID.
        public var key: String
        /// The pipeline's ID of the alert.
        public var alert: String
        /// The run that found it.
        public var run: String
        /// What is sent, as JSON on one line.
        public var payload: String
        /// `pending`, `sending`, `sent` or `failed`; one that is `sending` when a run begins was being sent by a run
        /// that was killed.
        public var state: String
        /// How often sending failed.
        public var tries: Int64
        /// When it is tried again, in seconds since 1970.
        public var next: Int64
        /// Why it was not sent; nil if it was not tried or was sent.
        public var error: String?

        /// Creates a pending row.
        public init(pipeline: String, key: String, alert: String, run: String, payload: String) {
            self.pipeline = pipeline
            self.key = key
            self.alert = alert
            self.run = run
            self.payload = payload
            state = "pending"
            tries = 0
            next = 0
        }

        static let table = "run_alert"
        static let columns = [
            "pipeline", "key", "alert", "run", "payload", "state", "tries", "next", "error", "checksum",
        ]

        var values: [(any DatabaseValueConvertible)?] {
            [pipeline, key, alert, run, payload, state, tries, next, error]
        }

        init(fields: CatalogFields) throws {
            self.init(
                pipeline: try fields.required("pipeline"), key: try fields.required("key"),
                alert: try fields.required("alert"), run: try fields.required("run"),
                payload: try fields.required("payload"))
            state = try fields.required("state")
            tries = try fields.number("tries")
            next = try fields.number("next")
            error = try fields.text("error")
        }
    }

    /// Adds findings; one that is known, in whatever state, stays as it is.
    public func record(alerts: [AlertRow]) throws {
        guard !alerts.isEmpty else { return }
        try write { try Catalog.insert(alerts, $0, or: .ignore) }
    }

    /// Updates a finding.
    public func set(alert: AlertRow) throws {
        try write { try Catalog.insert(alert, $0) }
    }

    /// Returns findings, in the order in which they were found.
    ///
    /// - Parameters:
    ///   - pipeline: only this pipeline's; nil: all.
    ///   - states: only those in one of these states; empty: all.
    public func alerts(pipeline: String? = nil, states: [String] = []) throws -> [AlertRow] {
        let all: [AlertRow] = try select("WHERE ? IS NULL OR pipeline = ? ORDER BY rowid", [pipeline, pipeline])
        return all.filter { states.isEmpty || states.contains($0.state) }
    }

    /// Returns one finding; nil if it is not known.
    public func alert(pipeline: String, key: String, alert: String) throws -> AlertRow? {
        let known: [AlertRow] = try select(
            "WHERE pipeline = ? AND key = ? AND alert = ?", [pipeline, key, alert])
        return known.first
    }
}
