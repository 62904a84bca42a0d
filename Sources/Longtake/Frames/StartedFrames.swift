internal import Media
internal import Synchronization

/// Frames of a recording that are decoded before they are needed: as many as the queue holds.
final class StartedFrames: Sendable {
    private let file: RecordingFile
    private let request: FrameRequest
    private let queue: Mutex<FrameQueue?>

    /// Starts decoding.
    ///
    /// - Parameter size: frames per batch; twice as many are decoded ahead.
    /// - Throws: `MediaError` if there is no process or thread to decode with.
    init(_ file: RecordingFile, _ request: FrameRequest, size: Int, _ cancellation: Cancellation) throws {
        self.file = file
        self.request = request
        let queue = FrameQueue(
            try FrameStream(file, request: request), capacity: 2 * size, cancellation: cancellation)
        try queue.start()
        self.queue = Mutex(queue)
    }

    deinit { discard() }

    /// Hands over the frames, once, if they are those of this file and request; the caller stops the queue.
    func take(of file: RecordingFile, _ request: FrameRequest) -> FrameQueue? {
        guard file === self.file, request == self.request else { return nil }
        return queue.withLock { queue in
            defer { queue = nil }
            return queue
        }
    }

    /// Ends decoding if the frames were not taken.
    func discard() {
        let left = queue.withLock { queue -> FrameQueue? in
            defer { queue = nil }
            return queue
        }
        left?.stop()
    }
}
