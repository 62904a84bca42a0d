internal import COpenMP
internal import Synchronization
import Glibc

/// Threads of one parallel region that wait for work awake, for work that comes in pieces of about 0.1 ms.
///
/// Waking a sleeping thread of libgomp takes about as long as such a piece. A piece is split into chunks that the threads
/// take one after the other: one that the operating system interrupts delays the others by a chunk that it has taken.
final class AwakeThreads: Sendable {
    private struct Work {
        var count = 0
        var chunks = 0
        var body: (Range<Int>) -> Void = { _ in }
    }

    private static let chunksPerThread = 8
    /// Times that a thread looks for work before it lets other threads run: about 0.1 ms.
    private static let spins = 2000

    private let threadCount: Int
    /// Written by the first thread while no chunk is taken or left; read by a thread that has taken one.
    nonisolated(unsafe) private var work = Work()
    /// Used by the first thread only.
    nonisolated(unsafe) private var isBusy = false
    /// The number of pieces so far in the upper half, the chunks left of the last one in the lower half.
    private let tickets = Atomic<UInt64>(0)
    private let finished = Atomic<Int>(0)
    private let isEnded = Atomic<Bool>(false)

    init(threadCount: Int) { self.threadCount = threadCount }

    /// True if the calling thread is the first and not inside the body of `run`.
    var isFree: Bool { ThreadPool.index == 0 && !isBusy }

    /// Runs `body` over 0..<count in chunks of `grain` items or more; the first thread calls it.
    func run(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        withoutActuallyEscaping(body) { body in
            isBusy = true
            let chunks = min(Self.chunksPerThread * threadCount, max(1, count / max(1, grain)))
            work = Work(count: count, chunks: chunks, body: body)
            finished.store(0, ordering: .relaxed)
            let piece = (tickets.load(ordering: .relaxed) >> 32) &+ 1
            tickets.store(piece << 32 | UInt64(chunks), ordering: .releasing)
            while takeChunk() {}
            Self.wait { finished.load(ordering: .acquiring) == chunks }
            work = Work()
            isBusy = false
        }
    }

    /// Does the work of `run` until `end`; the other threads call it.
    func help() {
        while true {
            Self.wait { hasTickets || isEnded.load(ordering: .acquiring) }
            guard takeChunk() || !isEnded.load(ordering: .acquiring) else { return }
        }
    }

    /// Lets the other threads return.
    func end() { isEnded.store(true, ordering: .releasing) }

    private var hasTickets: Bool { UInt32(truncatingIfNeeded: tickets.load(ordering: .relaxed)) > 0 }

    /// Takes a chunk and computes it; false if none is left.
    private func takeChunk() -> Bool {
        while true {
            let ticket = tickets.load(ordering: .acquiring)
            let left = Int(UInt32(truncatingIfNeeded: ticket))
            guard left > 0 else { return false }
            // Fails if another thread has taken one, or if a new piece has begun.
            guard
                tickets.compareExchange(expected: ticket, desired: ticket - 1, ordering: .acquiringAndReleasing)
                    .exchanged
            else { continue }
            compute(chunk: work.chunks - left)
            finished.wrappingAdd(1, ordering: .releasing)
            return true
        }
    }

    // Not inlined: `withoutActuallyEscaping` traps if a thread still holds the closure when all chunks are finished.
    @inline(never) private func compute(chunk index: Int) {
        work.body(work.count * index / work.chunks..<work.count * (index + 1) / work.chunks)
    }

    private static func wait(_ isDone: () -> Bool) {
        var spins = 0
        while !isDone() {
            spins += 1
            if spins % Self.spins == 0 { sched_yield() } else { lt_spin_pause() }
        }
    }
}
