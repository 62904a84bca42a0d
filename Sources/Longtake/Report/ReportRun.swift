/// A run of a pipeline, as a report shows it.
package struct ReportRun: Sendable, Encodable {
    /// The run before it: what is newer than that is new.
    package struct Previous: Sendable, Encodable {
        /// The run's ID.
        package let id: String
        /// When it started, RFC 3339.
        package let started: String

        package init(id: String, started: String) { (self.id, self.started) = (id, started) }
    }

    /// Unique ID of the run.
    package let id: String
    /// The pipeline's `name`, or the absolute path of its file.
    package let pipeline: String
    /// `running`, `done`, `partial`, `stopped`, `failed` or `killed`.
    package let state: String
    /// Start and end, RFC 3339; no end while the run is going on.
    package let started: String
    package let ended: String?
    /// Why the run failed; nil if it did not.
    package let error: String?
    /// Counts, times and memory; nil while the run is going on.
    package let summary: BatchSummary?
    /// The pipeline's run before it; nil if it is the first.
    package let previous: Previous?

    /// A run from its values.
    package init(
        id: String, pipeline: String, state: String, started: String, ended: String?, error: String?,
        summary: BatchSummary?, previous: Previous?
    ) {
        (self.id, self.pipeline, self.state, self.started) = (id, pipeline, state, started)
        (self.ended, self.error, self.summary, self.previous) = (ended, error, summary, previous)
    }
}
