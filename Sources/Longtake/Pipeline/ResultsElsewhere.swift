internal import Store

/// What other machines have done of a pipeline's run: it is taken over instead of being done again.
struct ResultsElsewhere {
    /// Why recordings cannot be indexed.
    var failures: [InputPath: Failure] = [:]
    /// The answers about the recording at a path, in the order in which they were given.
    var answers: (InputPath) throws -> [Catalog.RunAnswerRow] = { _ in [] }
}
