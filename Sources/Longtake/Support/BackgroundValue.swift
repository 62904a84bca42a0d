internal import Synchronization
internal import SystemCalls

/// A value computed on a background thread.
final class BackgroundValue<Value: Sendable> {
    private let make: @Sendable () throws -> Value
    private let made: Made
    private let thread: BackgroundThread?

    private final class Made: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
    }

    init(_ make: @escaping @Sendable () throws -> Value) {
        let made = Made()
        self.make = make
        self.made = made
        thread = try? BackgroundThread {
            let result = Result { try make() }
            made.result.withLock { $0 = result }
        }
    }

    /// Waits for the value and rethrows its error; computes it on this thread if none could be started.
    func value() throws -> Value {
        thread?.join()
        return try made.result.withLock(\.self)?.get() ?? make()
    }
}
