internal import Foundation

/// The counts and times of a run over many recordings.
package struct BatchSummary: Sendable, Codable {
    /// Files indexed from the start.
    package var filesNew = 0
    /// Files whose index was continued from an earlier run.
    package var filesResumed = 0
    /// Files that were already indexed.
    package var filesUnmodified = 0
    /// Indexed files whose frames do not cover the whole recording.
    package var filesPartial = 0
    /// Files that are still growing; a later run indexes them.
    package var filesSkipped = 0
    /// Files and folders that could not be read or indexed.
    package var filesFailed = 0
    /// Files that failed in an earlier run and are not due to be tried again.
    package var filesPaused = 0
    /// Frames in the indexes of all files that are now indexed, including unmodified ones.
    package var frames = 0
    /// Bytes added to the cache: prefix caches, and index bytes in proportion to the frames encoded by this run.
    package var bytesAdded: Int64 = 0
    /// Answers given.
    package var answers = 0
    /// Questions whose answer was already in the output.
    package var answersUnchanged = 0
    /// Questions that could not be answered.
    package var answersFailed = 0
    /// Why the run ended early, e.g. `max_runtime`; nil if it was completed.
    package var stopped: String?
    /// Recordings that a stopped run did not reach or finish; 0 if it stopped while answering questions.
    package var filesLeft = 0
    /// Seconds of indexing per frame encoded by this run; nil if none was.
    package var secondsPerFrame: Double?
    /// Seconds of the run in which frames were encoded and questions answered; nil if no model was used.
    package var computeSeconds: Double?
    /// Seconds of the run in which that waited for frames: for opening, probing, hashing and decoding.
    package var waitForFramesSeconds: Double?
    /// Duration of the run in seconds, by the monotonic clock.
    package var totalDuration = 0.0
    /// UUID of this run, which each line of a pipeline's output carries.
    package var runID = UUID().uuidString.lowercased()
    /// When the run started, RFC 3339.
    package var start = Date().formatted(.iso8601)
    /// When the run ended, RFC 3339; empty before `finish`.
    package var end = ""
    /// Largest resident set of this process so far, in bytes.
    package var peakMemoryBytes = 0
    /// Largest resident set of any decode worker so far, in bytes.
    package var peakWorkerMemoryBytes = 0

    /// True if a file or an answer failed, an index does not cover its recording, or the run ended early.
    package var isPartial: Bool { filesFailed > 0 || filesPartial > 0 || answersFailed > 0 || stopped != nil }

    /// True once a file was indexed or failed, or a question was asked.
    ///
    /// Until then the run ignores its time limit, so that every run makes progress.
    var hasWorked: Bool { filesNew + filesResumed + filesFailed + answers + answersFailed > 0 }

    /// A summary of a run that starts now.
    package init() {}

    private enum CodingKeys: String, CodingKey {
        case filesNew = "files_new"
        case filesResumed = "files_resumed"
        case filesUnmodified = "files_unmodified"
        case filesPartial = "files_partial"
        case filesSkipped = "files_skipped"
        case filesFailed = "files_failed"
        case filesPaused = "files_paused"
        case frames
        case bytesAdded = "bytes_added"
        case answers
        case answersUnchanged = "answers_unchanged"
        case answersFailed = "answers_failed"
        case stopped
        case filesLeft = "files_left"
        case secondsPerFrame = "seconds_per_frame"
        case computeSeconds = "compute_seconds"
        case waitForFramesSeconds = "wait_for_frames_seconds"
        case totalDuration = "total_duration"
        case runID = "run_id"
        case start, end
        case peakMemoryBytes = "peak_memory_bytes"
        case peakWorkerMemoryBytes = "peak_worker_memory_bytes"
    }
}

/// An event of a batch, reported when it happens.
package enum BatchEvent {
    /// Indexing of a file starts; `number` counts from 1.
    case started(path: String, number: Int, of: Int)
    case progress(path: String, IndexProgress)
    /// The file is indexed, by this run or an earlier one.
    case indexed(IndexedRecording)
    /// The file is still growing.
    case skipped(path: String, Failure)
    case failed(path: String, Failure)
    /// The run was interrupted or reached its time limit: sealed segments are kept, and the next run continues.
    case stopped(path: String, Failure)
    /// The answer has been appended to the pipeline's output.
    case answered(path: String, questionID: String, answer: String)
    case answerFailed(path: String, questionID: String, Failure)
    /// A remark about the run itself.
    case note(String)
}

/// Indexes recordings one after the other; a bad file does not stop the others.
package struct BatchIndexer {
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let known: [InputPath: IndexedRecording]
    private let opened: [InputPath: Recording]
    private let frames: [InputPath: Int]

    /// A batch with an existing analyzer.
    package init(_ analyzer: Analyzer, options: IndexOptions) {
        self.init(Deferred { analyzer }, options: options, known: [:])
    }

    /// A batch that loads its model only if needed.
    ///
    /// - Parameters:
    ///   - analyzer: created for the first file that is not in `known`.
    ///   - known: the files whose index is up to date, from `KnownFiles`.
    ///   - opened: recordings that are already open, e.g. from making a plan; others are opened when needed.
    ///   - frames: how many frames are to be encoded of those files of which that is known, for the forecast.
    package init(
        _ analyzer: Deferred<Analyzer>, options: IndexOptions, known: [InputPath: IndexedRecording],
        opened: [InputPath: Recording] = [:], frames: [InputPath: Int] = [:]
    ) {
        self.analyzer = analyzer
        self.options = options
        self.known = known
        self.opened = opened
        self.frames = frames
    }

    /// Indexes the files in order, until the deadline of `options`; reports a file that fails as an event.
    ///
    /// - Returns: the recordings that are now indexed, in the order of the files.
    /// - Throws: only errors that would stop the other files too: `Failure` for a full disk, too little memory or an
    ///   interruption; an error from creating the analyzer.
    package func run(
        _ files: [InputPath], summary: inout BatchSummary, event: (BatchEvent) -> Void
    ) throws -> [IndexedRecording] {
        var done: [IndexedRecording] = []
        var forecast = files.count > 1 ? BatchForecast(files, known: known, frames: frames) : nil
        for (number, file) in files.enumerated() {
            if options.isOver, summary.hasWorked {
                summary.stop(left: files.count - number)
                break
            }
            event(.started(path: file.description, number: number + 1, of: files.count))
            if let indexed = known[file] {
                summary.add(indexed)
                done.append(indexed)
                event(.indexed(indexed))
                continue
            }
            let analyzer = try analyzer.get()
            let start = ContinuousClock.now
            defer { forecast?.remove(file) }
            do {
                let indexed = try analyzer.index(opened[file] ?? Recording(file), options: options) {
                    event(.progress(path: file.description, forecast?.completed($0, of: file) ?? $0))
                }
                forecast?.finish(
                    file, frames: indexed.frames, framesNow: indexed.framesNow,
                    seconds: (ContinuousClock.now - start).seconds)
                summary.add(indexed)
                done.append(indexed)
                event(.indexed(indexed))
            } catch {
                let failure = Failure(error, subject: file.description)
                // An index estimated to exceed the free space fails only that file; a full disk stops the run.
                let isTooBig = failure.code == LongtakeError.Code.notEnoughDisk.rawValue && files.count > 1
                if failure.exitCode == Exit.interrupted {
                    summary.stop(left: files.count - number, reason: failure.code)
                    event(.stopped(path: file.description, failure))
                }
                if !isTooBig, failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
                if failure.code == LongtakeError.Code.timeIsOver.rawValue {
                    summary.stop(left: files.count - number)
                    event(.stopped(path: file.description, failure))
                    break
                }
                if failure.code == LongtakeError.Code.growing.rawValue {
                    summary.filesSkipped += 1
                    event(.skipped(path: file.description, failure))
                } else {
                    summary.filesFailed += 1
                    event(.failed(path: file.description, failure))
                }
            }
        }
        return done
    }
}

extension BatchSummary {
    /// Counts a recording that is now indexed.
    mutating func add(_ indexed: IndexedRecording) {
        switch indexed.action {
        case .unchanged: filesUnmodified += 1
        case .resumed: filesResumed += 1
        case .new: filesNew += 1
        }
        if indexed.isPartial { filesPartial += 1 }
        frames += indexed.frames
        bytesAdded += indexed.prefixCacheBytesNow
        if indexed.frames > 0 { bytesAdded += indexed.bytes * Int64(indexed.framesNow) / Int64(indexed.frames) }
    }

    /// Records that the run ended early, with `left` recordings not finished; `reason` is an error code.
    mutating func stop(left: Int, reason: String = LongtakeError.Code.timeIsOver.rawValue) {
        stopped = reason
        filesLeft = left
    }

    /// Sets the run's duration, end time and peak memory; `seconds` is its duration by the monotonic clock.
    package mutating func finish(seconds: Double) {
        totalDuration = seconds
        end = Date().formatted(.iso8601)
        peakMemoryBytes = ProcessMemory.peakBytes
        peakWorkerMemoryBytes = ProcessMemory.peakOfChildren
    }
}
