internal import Synchronization
internal import Tensors

/// A value that is made on a thread of its own, beside what its owner does meanwhile.
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
        thread = BackgroundThread {
            let result = Result { try make() }
            made.result.withLock { $0 = result }
        }
    }

    /// Waits for it, and throws what making it threw; where no thread could be started it is made here.
    func value() throws -> Value {
        thread?.join()
        return try made.result.withLock(\.self)?.get() ?? make()
    }
}
