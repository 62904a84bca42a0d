internal import Store

/// The state of an index; the raw value is the `state` in JSON.
public enum IndexState: String, Sendable, Codable {
    /// It covers the whole recording.
    case complete
    /// It covers the recording up to where decoding ended.
    case partial
    /// A process is writing it.
    case indexing
    /// A run was stopped; the next one continues.
    case interrupted
}

extension Manifest {
    /// `complete` or `partial`: only a finished index has a manifest.
    var indexState: IndexState { state == IndexState.partial.rawValue ? .partial : .complete }
}
