public import Media
public import Models
public import Store
internal import Tensors

/// How recordings are indexed.
public struct IndexOptions: Sendable {
    public var framesPerSecond: Double
    public var sampling: Sampling
    public var record: RecordKind
    /// Index again even where a complete index exists.
    public var force: Bool
    public var decodeThreads: Int
    public var maxDuration: Double

    public enum Sampling: String, Sendable, CaseIterable {
        case grid, reference
    }

    public init(
        framesPerSecond: Double = 1, sampling: Sampling = .grid, record: RecordKind = .standard, force: Bool = false,
        decodeThreads: Int = 1, maxDuration: Double = 24 * 3600
    ) {
        self.framesPerSecond = framesPerSecond
        self.sampling = sampling
        self.record = record
        self.force = force
        self.decodeThreads = decodeThreads
        self.maxDuration = maxDuration
    }
}
