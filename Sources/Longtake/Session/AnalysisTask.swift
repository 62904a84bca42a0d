internal import Synchronization

/// Work of an `AnalysisSession` under way: its updates as they come, and its result.
///
/// It runs whether or not anything awaits it. Cancel it with `cancel`, or by canceling the task that awaits `value`.
public struct AnalysisTask<Update: Sendable, Value: Sendable>: Sendable {
    /// The updates, until the work ends; if they are read too slowly, indexing progress skips to the newest one.
    public let updates: AsyncStream<Update>
    private let task: Task<Value, any Error>
    private let onCancel: @Sendable () -> Void

    init(
        buffering: AsyncStream<Update>.Continuation.BufferingPolicy = .unbounded,
        onCancel: @escaping @Sendable () -> Void,
        work: @escaping @Sendable (AsyncStream<Update>.Continuation) async throws -> Value
    ) {
        let (updates, continuation) = AsyncStream<Update>.makeStream(bufferingPolicy: buffering)
        self.updates = updates
        self.onCancel = onCancel
        task = Task.detached {
            defer { continuation.finish() }
            return try await work(continuation)
        }
    }

    /// The result, once the work is done.
    ///
    /// - Throws: `Failure`; its code is `interrupted` after a cancellation.
    public var value: Value {
        get async throws {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                onCancel()
            }
        }
    }

    /// Ends the work at the next frame or token; sealed segments of an index stay, and the next run continues them.
    public func cancel() { onCancel() }
}

/// Cancels one operation of a session without those that wait for their turn after it.
final class OperationCancellation: Sendable {
    private struct State {
        var next = 0
        var running: Int?
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())
    /// The flag that the work checks.
    let flag = Cancellation()

    /// The number of a new operation.
    func register() -> Int {
        state.withLock { state in
            state.next += 1
            return state.next
        }
    }

    func cancel(_ operation: Int) {
        state.withLock { state in
            if state.running == operation { flag.cancel() } else { state.cancelled.insert(operation) }
        }
    }

    /// Runs an operation on the session's thread.
    ///
    /// - Throws: `LongtakeError` `interrupted` if it was canceled before its turn.
    func run<Value>(_ operation: Int, _ body: () throws -> Value) throws -> Value {
        state.withLock { state in
            state.running = operation
            flag.reset()
            if state.cancelled.remove(operation) != nil { flag.cancel() }
        }
        defer { state.withLock { $0.running = nil } }
        try flag.check()
        return try body()
    }
}
