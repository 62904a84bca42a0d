internal import Foundation
internal import Glibc
internal import Media

/// The bounded queue between decoding and encoding.
///
/// A separate thread reads frames from the decode worker while the compute thread encodes earlier ones. Frames are
/// swapped, never copied; their number is fixed at the start.
final class FrameQueue: @unchecked Sendable {
    // @unchecked: all fields below are accessed under `condition`; the stream belongs to the decode thread.
    private let condition = NSCondition()
    private var slots: [Frame]
    private var first = 0
    private var filled = 0
    private var ended = false
    private var stopped = false
    private var failure: (any Error)?
    private let stream: FrameStream
    private let cancellation: Cancellation

    init(_ stream: FrameStream, capacity: Int, cancellation: Cancellation) {
        self.cancellation = cancellation
        self.stream = stream
        slots = (0..<max(capacity, 1)).map { _ in Frame() }
    }

    /// Starts decoding; call `stop()` before releasing the queue.
    ///
    /// - Throws: `MediaError` `process_limit` if no thread can be started.
    func start() throws {
        let retained = Unmanaged.passRetained(self)
        // Not Foundation's Thread: it does not report that it could not start, and its frames would be waited for
        // forever.
        var thread = pthread_t()
        let failure = ResourceLimits.retry {
            pthread_create(&thread, nil, { FrameQueue.run($0) }, retained.toOpaque())
        }
        guard failure == 0 else {
            retained.release()
            throw MediaError.limit("no thread to decode with", failure)
        }
        pthread_detach(thread)
    }

    private static func run(_ queue: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let queue { Unmanaged<FrameQueue>.fromOpaque(queue).takeRetainedValue().decode() }
        return nil
    }

    private func decode() {
        var frame = Frame()
        do {
            while try stream.next(into: &frame) {
                condition.lock()
                while filled == slots.count, !stopped { condition.wait() }
                if stopped {
                    condition.unlock()
                    break
                }
                swap(&slots[(first + filled) % slots.count], &frame)
                filled += 1
                condition.broadcast()
                condition.unlock()
            }
            finish(nil)
        } catch {
            finish(error)
        }
    }

    private func finish(_ error: (any Error)?) {
        condition.lock()
        ended = true
        failure = error
        condition.broadcast()
        condition.unlock()
    }

    /// Fills `batch` from its start with up to `most` frames, in order; returns how many, fewer only at the end.
    func take(into batch: inout [Frame], most: Int = .max) throws -> Int {
        condition.lock()
        defer { condition.unlock() }
        var taken = 0
        while taken < min(most, batch.count) {
            while filled == 0, !ended {
                // A file may be read for minutes before its first requested frame.
                _ = condition.wait(until: Date(timeIntervalSinceNow: 0.2))
                try cancellation.check()
            }
            guard filled > 0 else { break }
            swap(&slots[first], &batch[taken])
            first = (first + 1) % slots.count
            filled -= 1
            taken += 1
            condition.broadcast()
        }
        // Frames decoded before an error are valid: the error is thrown with the first empty batch.
        if taken == 0, let failure { throw failure }
        return taken
    }

    /// Ends decoding and waits until the thread no longer uses the stream.
    func stop() {
        condition.lock()
        stopped = true
        condition.broadcast()
        stream.cancel()
        while !ended { condition.wait() }
        condition.unlock()
    }

    /// The result of decoding; complete once `take` has returned 0.
    var result: DecodeResult { stream.result }
}
