internal import Media

/// The frames of a recording in batches, decoded on another thread.
enum FrameBatches {
    /// Decodes the requested frames and calls `body` with each batch, in order; returns the result of decoding.
    ///
    /// - Parameters:
    ///   - size: maximum number of frames per batch; up to twice as many are decoded ahead.
    ///   - limit: called before each batch; returns the maximum number of frames in it.
    ///   - started: frames whose decoding was started before; used if they are the requested ones.
    ///   - times: gets the time of `body` as computing, and that of waiting for frames.
    ///   - body: gets the frames and the metadata read so far.
    /// - Throws: `MediaError` if there is no frame at all; `LongtakeError` `interrupted`; errors of `limit` and `body`.
    static func forEach(
        of file: RecordingFile, _ request: FrameRequest, size: Int, _ cancellation: Cancellation,
        limit: () throws -> Int = { .max }, started: StartedFrames? = nil, times: WorkTimes = WorkTimes(),
        _ body: (ArraySlice<Frame>, RecordingInfo) throws -> Void
    ) throws -> DecodeResult {
        let queue = try times.waiting { () -> FrameQueue in
            if let queue = started?.take(of: file, request) { return queue }
            started?.discard()
            let queue = FrameQueue(
                try FrameStream(file, request: request), capacity: 2 * size, cancellation: cancellation)
            try queue.start()
            return queue
        }
        defer { queue.stop() }
        var batch = (0..<size).map { _ in Frame() }
        while true {
            try cancellation.check()
            let most = try limit()
            let count = try times.waiting { try queue.take(into: &batch, most: most) }
            guard count > 0 else { return queue.result }
            try times.computing { try body(batch[..<count], queue.result.info) }
        }
    }
}
