internal import Media

/// The frames of a recording in batches, decoded on another thread.
enum FrameBatches {
    /// Decodes the requested frames and calls `body` with each batch, in order; returns the result of decoding.
    ///
    /// - Parameters:
    ///   - size: maximum number of frames per batch; up to twice as many are decoded ahead.
    ///   - limit: called before each batch; returns the maximum number of frames in it.
    ///   - body: gets the frames and the metadata read so far.
    /// - Throws: `MediaError` if there is no frame at all; `LongtakeError` `interrupted`; errors of `limit` and `body`.
    static func forEach(
        of file: RecordingFile, _ request: FrameRequest, size: Int, _ cancellation: Cancellation,
        limit: () throws -> Int = { .max }, _ body: (ArraySlice<Frame>, RecordingInfo) throws -> Void
    ) throws -> DecodeResult {
        let stream = try FrameStream(file, request: request)
        let queue = FrameQueue(stream, capacity: 2 * size, cancellation: cancellation)
        try queue.start()
        defer { queue.stop() }
        var batch = (0..<size).map { _ in Frame() }
        while true {
            try cancellation.check()
            let count = try queue.take(into: &batch, most: limit())
            guard count > 0 else { return queue.result }
            try body(batch[..<count], queue.result.info)
        }
    }
}
