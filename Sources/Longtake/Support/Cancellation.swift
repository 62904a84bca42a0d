internal import Synchronization

/// Set from a signal handler or another thread; long work looks at it between frames.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    public init() {}
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }
    public func cancel() { flag.store(true, ordering: .relaxed) }

    /// - Throws: `LongtakeError` `interrupted`.
    func check() throws {
        if isCancelled {
            throw LongtakeError(code: .interrupted, message: "interrupted")
        }
    }
}
