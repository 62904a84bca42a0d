internal import Foundation
internal import Media
internal import Store
internal import SystemCalls

/// A recording that is opened, probed, hashed and whose first frames are decoded while another one is computed.
///
/// Ahead are at most two batches of frames. Errors are kept to the recording's turn, when the step is done again.
package final class RecordingPrefetch: @unchecked Sendable {
    // @unchecked: `result` belongs to the thread until it is joined; everything else to the thread that computes.
    /// The file.
    package let path: InputPath
    private let stop: Cancellation
    private let result: Result
    private var thread: BackgroundThread?

    private final class Result: @unchecked Sendable {
        // @unchecked: see above.
        let recording: Recording
        var frames: StartedFrames?

        init(_ path: InputPath) { recording = Recording(path) }
    }

    /// What the work ahead needs to know; no part of a model.
    struct Job: Sendable {
        let options: IndexOptions
        let request: FrameRequest
        /// Frames per batch.
        let size: Int
        let key: @Sendable (String) -> IndexKey
        let cache: CacheDirectory
        let catalog: Catalog
        /// Whether the recording is taken in its turn; false: nothing is decoded ahead.
        let accepts: @Sendable (RecordingInfo) -> Bool
    }

    /// Starts the work on a thread of its own; nil if there is none, or only one processor, which would gain nothing.
    init?(_ path: InputPath, _ job: Job, _ cancellation: Cancellation) {
        guard ProcessInfo.processInfo.activeProcessorCount > 1 else { return nil }
        self.path = path
        let stop = Cancellation(parent: cancellation)
        let result = Result(path)
        self.stop = stop
        self.result = result
        do {
            thread = try BackgroundThread {
                result.frames = try? RecordingPrefetch.start(result.recording, job, stop, cancellation)
            }
        } catch {
            return nil
        }
    }

    private static func start(
        _ recording: Recording, _ job: Job, _ stop: Cancellation, _ cancellation: Cancellation
    ) throws -> StartedFrames? {
        let file = try recording.open(stop)
        try job.options.checkAge(file)
        guard job.accepts(try recording.probe(job.request, stop).info) else { return nil }
        let content = try recording.hashed(job.catalog, force: job.options.force, stop)
        // An index that exists is used or continued, from a frame that is known in its turn.
        guard job.options.force || !FileManager.default.fileExists(atPath: job.cache.indexPath(job.key(content.hash)))
        else { return nil }
        try stop.check()
        return try StartedFrames(file, job.request, size: job.size, cancellation)
    }

    /// Waits until the recording is prepared.
    var recording: Recording {
        thread?.join()
        thread = nil
        return result.recording
    }

    /// The frames whose decoding has started, after `recording`; nil if there are none.
    var frames: StartedFrames? {
        thread?.join()
        thread = nil
        return result.frames
    }

    /// Ends the work and closes the file.
    package func cancel() {
        stop.cancel()
        frames?.discard()
        recording.close()
    }

    deinit { cancel() }
}
