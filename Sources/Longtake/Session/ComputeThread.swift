internal import Glibc
internal import Synchronization
internal import SystemCalls

/// The executor of an `AnalysisSession`: one thread, on which everything that belongs to its model runs.
///
/// A thread of the shared pool would not do: OpenMP keeps worker threads for each thread that calls it, and indexing
/// occupies its thread for hours.
final class ComputeThread: SerialExecutor {
    private let queue = Queue()

    /// Starts the thread.
    ///
    /// - Throws: `LongtakeError` `too_few_threads` if the system starts no thread.
    init() throws {
        guard let thread = try? BackgroundThread({ [queue] in queue.run() }) else {
            throw Failure(
                code: "process_limit",
                message: "no thread can be started for the model; raise the limit on processes and threads (ulimit -u)",
                exitCode: Exit.space)
        }
        // The last reference may be released on the thread itself, which cannot wait for its own end.
        thread.detach()
    }

    deinit { queue.end() }

    func enqueue(_ job: consuming ExecutorJob) {
        queue.append(Queue.Entry(job: UnownedJob(job), executor: asUnownedSerialExecutor()))
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    func checkIsolated() {
        precondition(queue.isCurrent, "the model of an AnalysisSession is used outside its thread")
    }

    /// The jobs that wait for the thread; outlives the executor until the thread has ended.
    private final class Queue: Sendable {
        struct Entry {
            let job: UnownedJob
            // Valid while the job runs: a job keeps its actor, and the actor its executor.
            let executor: UnownedSerialExecutor
        }

        private struct State {
            var entries: [Entry] = []
            var thread: pthread_t?
            var isEnded = false
        }

        private let state = Mutex(State())
        private let signal = Semaphore()

        var isCurrent: Bool {
            state.withLock { $0.thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
        }

        func append(_ entry: sending Entry) {
            state.withLock { $0.entries.append(entry) }
            signal.post()
        }

        func end() {
            state.withLock { $0.isEnded = true }
            signal.post()
        }

        /// Runs jobs in the order of their arrival until the executor is released.
        func run() {
            state.withLock { $0.thread = pthread_self() }
            while true {
                signal.wait()
                let next = state.withLock { state in state.entries.isEmpty ? nil : state.entries.removeFirst() }
                if let next {
                    next.job.runSynchronously(on: next.executor)
                } else if state.withLock({ $0.isEnded }) {
                    return
                }
            }
        }
    }

    /// A POSIX semaphore: Synchronization has nothing that a thread can wait for.
    private final class Semaphore: @unchecked Sendable {
        private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        func post() { sem_post(semaphore) }

        func wait() {
            // A signal handler interrupts the wait.
            while sem_wait(semaphore) != 0 {}
        }
    }
}
