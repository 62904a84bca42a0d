internal import Synchronization

/// A flag set from a signal handler or another thread; long work checks it between frames.
package final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let parent: Cancellation?
    /// Creates a flag that is not set.
    ///
    /// - Parameter parent: another flag, which counts too.
    package init(parent: Cancellation? = nil) { self.parent = parent }
    /// True after `cancel`, also of the parent.
    package var isCancelled: Bool { flag.load(ordering: .relaxed) || parent?.isCancelled == true }
    /// Sets the flag; may be called from a signal handler.
    package func cancel() { flag.store(true, ordering: .relaxed) }

    /// Clears the flag, for the next operation.
    func reset() { flag.store(false, ordering: .relaxed) }

    /// Throws if the flag is set.
    ///
    /// - Throws: `LongtakeError` `interrupted`.
    func check() throws {
        if isCancelled {
            throw LongtakeError(code: .interrupted, message: "interrupted")
        }
    }
}
