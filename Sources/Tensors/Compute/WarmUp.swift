import Glibc

/// Computes a small attention on a thread of its own, for nothing.
///
/// oneDNN writes the machine code of its strided products when the first one is computed: 20 ms, which pass while this thread
/// loads weights. Where no thread can be started the first product takes that long, as it would have.
public final class WarmUp {
    private var thread = pthread_t()
    private var isRunning = false

    private final class Settings {
        let precision: WorkType
        let backend: Backend?

        init(_ precision: WorkType, _ backend: Backend?) {
            self.precision = precision
            self.backend = backend
        }
    }

    public init(precision: WorkType, backend: Backend? = nil) {
        // Signals are the other threads'.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let settings = Unmanaged.passRetained(Settings(precision, backend))
        let failure = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    let settings = Unmanaged<Settings>.fromOpaque(argument).takeRetainedValue()
                    WarmUp.compute(settings.precision, settings.backend)
                }
                return nil
            }, settings.toOpaque())
        isRunning = failure == 0
        if failure != 0 { settings.release() }
    }

    /// Waits for its end: nobody may leave the program while the library writes its code.
    public func wait() {
        if isRunning { pthread_join(thread, nil) }
        isRunning = false
    }

    deinit { wait() }

    private static func compute(_ precision: WorkType, _ backend: Backend?) {
        guard let compute = try? Compute(precision: precision, backend: backend, threads: 1) else { return }
        let (rows, shape) = (8, AttentionShape(heads: 2, keyValueHeads: 2, headSize: 32))
        let width = shape.heads * shape.headSize
        let memory = Buffer<Float>(count: 4 * rows * width)
        memory.pointer.update(repeating: 0, count: memory.count)
        func block(_ place: Int) -> Block {
            Block(memory.pointer + place * rows * width, type: precision, rows: rows, columns: width)
        }
        compute.attention(query: block(0), keys: block(1), values: block(2), shape: shape, into: block(3))
    }
}
