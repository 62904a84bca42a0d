/// A text search in place of a question: its text is the question's.
package struct PipelineSearch: Sendable, Equatable {
    /// Minimum cosine of a frame; nil: the frames that stand out in the recording.
    package var threshold: Double?
    /// Most moments.
    package var limit = SearchOptions.defaultLimit

    static let keys = ["search", "threshold", "at_most"]

    /// What the moments depend on, for the key of an answer.
    var keyParts: [String] { ["search", threshold.map { "\($0)" } ?? "", "\(limit)"] }
}

/// The model of a pipeline's text searches.
package struct PipelineSearchModel {
    /// Checks that the model can search, without loading its weights.
    let check: () throws -> Void
    let searcher: Deferred<Searcher>

    /// A model that is loaded for the first search.
    package init(check: @escaping () throws -> Void, searcher: Deferred<Searcher>) {
        self.check = check
        self.searcher = searcher
    }
}
