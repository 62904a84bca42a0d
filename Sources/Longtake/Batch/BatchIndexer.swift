internal import Foundation

/// What a run over many recordings did.
public struct BatchSummary: Sendable, Codable {
    public var filesNew = 0
    public var filesResumed = 0
    public var filesUnmodified = 0
    public var filesPartial = 0
    /// Still growing: they are taken next time.
    public var filesSkipped = 0
    public var filesFailed = 0
    public var frames = 0
    public var bytesAdded: Int64 = 0
    public var answers = 0
    public var answersUnchanged = 0
    public var answersFailed = 0
    /// Why the run ended before it was through: `max_runtime`; nil where nothing stopped it.
    public var stopped: String?
    /// Recordings that a run which was stopped has not come to, or not to the end of.
    public var filesLeft = 0
    /// Seconds by the monotonic clock.
    public var totalDuration = 0.0
    public var runID = UUID().uuidString.lowercased()
    public var start = Date().formatted(.iso8601)
    public var end = ""
    /// Largest resident set of this process so far.
    public var peakMemoryBytes = 0
    /// Largest resident set of any decode worker so far.
    public var peakWorkerMemoryBytes = 0

    /// Some inputs failed or are incomplete, the rest is done.
    public var isPartial: Bool { filesFailed > 0 || filesPartial > 0 || answersFailed > 0 || stopped != nil }

    /// Whether this run has got anything done: one whose time is over goes on until then, or it would never get anywhere.
    var hasWorked: Bool { filesNew + filesResumed + filesFailed + answers + answersFailed > 0 }

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case filesNew = "files_new"
        case filesResumed = "files_resumed"
        case filesUnmodified = "files_unmodified"
        case filesPartial = "files_partial"
        case filesSkipped = "files_skipped"
        case filesFailed = "files_failed"
        case frames
        case bytesAdded = "bytes_added"
        case answers
        case answersUnchanged = "answers_unchanged"
        case answersFailed = "answers_failed"
        case stopped
        case filesLeft = "files_left"
        case totalDuration = "total_duration"
        case runID = "run_id"
        case start, end
        case peakMemoryBytes = "peak_memory_bytes"
        case peakWorkerMemoryBytes = "peak_worker_memory_bytes"
    }
}

/// What happens in a batch, as it happens.
public enum BatchEvent {
    case started(path: String, number: Int, of: Int)
    case progress(path: String, IndexProgress)
    case indexed(IndexedRecording)
    case skipped(path: String, Failure)
    case failed(path: String, Failure)
    /// The run's time is over: what is sealed stays, the next run goes on.
    case stopped(path: String, Failure)
    /// The answer is in the pipeline's output.
    case answered(Answer, questionID: String)
    case answerFailed(path: String, questionID: String, Failure)
    /// About the run itself, for a person.
    case note(String)
}

/// Indexes recordings one after the other; a bad one fails alone.
public struct BatchIndexer {
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let known: [InputPath: IndexedRecording]

    public init(_ analyzer: Analyzer, options: IndexOptions) {
        self.init(Deferred { analyzer }, options: options, known: [:])
    }

    /// - Parameters:
    ///   - analyzer: made when a file has to be looked into.
    ///   - known: the files that need not be, as `KnownFiles` finds them.
    public init(_ analyzer: Deferred<Analyzer>, options: IndexOptions, known: [InputPath: IndexedRecording]) {
        self.analyzer = analyzer
        self.options = options
        self.known = known
    }

    /// - Returns: the recordings that are indexed now, in order.
    /// - Throws: `Failure` only for what would meet every other file as well: no space, an interruption.
    public func run(
        _ files: [InputPath], summary: inout BatchSummary, event: (BatchEvent) -> Void
    ) throws -> [IndexedRecording] {
        var done: [IndexedRecording] = []
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
            do {
                let indexed = try analyzer.index(file, options: options) {
                    event(.progress(path: file.description, $0))
                }
                summary.add(indexed)
                done.append(indexed)
                event(.indexed(indexed))
            } catch {
                let failure = Failure(error, subject: file.description)
                // A plan that does not fit is that file's own trouble; a disk that is full is everyone's.
                let isPlan = failure.code == LongtakeError.Code.notEnoughDisk.rawValue && files.count > 1
                if failure.exitCode == Exit.interrupted {
                    summary.stop(left: files.count - number, why: failure.code)
                    event(.stopped(path: file.description, failure))
                }
                if !isPlan, failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
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
    mutating func add(_ indexed: IndexedRecording) {
        switch indexed.action {
        case IndexOutcome.Action.unchanged.rawValue: filesUnmodified += 1
        case IndexOutcome.Action.resumed.rawValue: filesResumed += 1
        default: filesNew += 1
        }
        if indexed.isPartial { filesPartial += 1 }
        frames += indexed.frames
        bytesAdded += indexed.prefixCacheBytesNow
        if indexed.frames > 0 { bytesAdded += indexed.bytes * Int64(indexed.framesNow) / Int64(indexed.frames) }
    }

    /// Notes that the run's time was over.
    mutating func stop(left: Int, why: String = LongtakeError.Code.timeIsOver.rawValue) {
        stopped = why
        filesLeft = left
    }

    /// Stamps the end; `seconds` by the monotonic clock.
    public mutating func finish(seconds: Double) {
        totalDuration = seconds
        end = Date().formatted(.iso8601)
        peakMemoryBytes = ProcessMemory.peakBytes
        peakWorkerMemoryBytes = ProcessMemory.peakOfChildren
    }
}
