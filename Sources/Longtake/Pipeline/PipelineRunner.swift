internal import Foundation
internal import Glibc
internal import Store

/// Runs a pipeline: each recording is indexed, then asked about at once, and its answers go to the outputs.
///
/// The catalog has the runs, the answers and the files that failed: nothing is asked twice, wherever the outputs went.
package final class PipelineRunner {
    private let file: PipelineFile
    private let library: Library
    private let analyzer: Deferred<Analyzer>
    private var options: IndexOptions
    private let settings: PipelineRunSettings
    private let known: ([InputPath]) throws -> [InputPath: IndexedRecording]
    private let cancellation: Cancellation
    /// When no more questions are asked; indexing ends earlier, by `options.deadline`.
    private let end: ContinuousClock.Instant?

    /// A run that loads its model only if needed.
    ///
    /// - Parameters:
    ///   - analyzer: created for the first recording that must be indexed or asked about.
    ///   - options: include the file's own settings. After their deadline no segment is begun and no question asked,
    ///     except for the first of a run.
    ///   - known: returns the files whose index is up to date.
    package init(
        _ file: PipelineFile, library: Library, analyzer: Deferred<Analyzer>, options: IndexOptions,
        settings: PipelineRunSettings = PipelineRunSettings(), cancellation: Cancellation = Cancellation(),
        known: @escaping ([InputPath]) throws -> [InputPath: IndexedRecording]
    ) {
        self.file = file
        self.library = library
        self.analyzer = analyzer
        self.options = options
        self.settings = settings
        self.cancellation = cancellation
        self.known = known
        end = options.deadline
        if let end, !file.questions.isEmpty {
            // A share of the night is for questions: what is indexed is also answered.
            self.options.deadline = end - (end - .now) * Self.questionShare
        }
    }

    /// The part of a limited run in which nothing is indexed.
    static let questionShare = 0.1

    /// The files for which a run would do something: those that are finished and not indexed, or that have questions
    /// open.
    func pending(_ files: [InputPath]) throws -> [InputPath] {
        let known = try known(files)
        let answered = try library.catalog.answerKeys(pipeline: file.identity)
        let pauses = try PipelineHistory.Pauses(file, library.catalog)
        let now = Double(Glibc.time(nil))
        return files.filter { path in
            if let known = known[path] {
                return file.clock.selection.verdict(on: known) == .selected
                    && !file.questions.allSatisfy { answered.contains($0.key(known)) }
            }
            guard let status = FileFingerprint(path: path.absolute.bytes) else { return false }
            let isOld = now - Double(status.modified) / 1e9 >= options.minimumAge
            return isOld && (settings.retriesFailed || pauses.pause(of: path, now: Int64(saturating: now)) == nil)
        }
    }

    /// Indexes and asks; `event` gets each step when it happens.
    ///
    /// - Parameter walker: the recordings.
    /// - Throws: `Failure` `locked` if another run of the pipeline is going on, `cannot_write` if an output cannot be
    ///   written, and if no file can be indexed any more; an error of one recording is in the summary.
    package func run(_ walker: InputWalker, event: (BatchEvent) -> Void) throws -> BatchSummary {
        let start = ContinuousClock.now
        var summary = BatchSummary()
        let lock = try PipelineLock(file, library: library, waiting: settings.lockWait, runID: summary.runID)
        defer { withExtendedLifetime(lock) {} }
        let writer = AnswerWriter(
            file, catalog: library.catalog, runID: summary.runID, time: Int(Glibc.time(nil)), cancellation: cancellation
        )
        // Opened first, so that an unusable output is reported before hours of indexing.
        try writer.open()
        let history = try PipelineHistory(
            file, catalog: library.catalog, runID: summary.runID, started: summary.start)
        do {
            defer { summary.finish(seconds: (ContinuousClock.now - start).seconds) }
            for (path, reason) in walker.unreadable {
                summary.filesFailed += 1
                let failure = Failure(
                    code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input)
                event(.failed(path: path.description, failure))
            }
            let pass = PipelinePass(
                file, library: library, analyzer: analyzer, options: options, writer: writer, history: history,
                end: end, cancellation: cancellation)
            pass.answered = try writer.known { event(.note($0)) }
            defer { summary = pass.summary }
            pass.summary = summary
            pass.retriesFailed = settings.retriesFailed
            let files = file.order.sorted(walker.files)
            try pass.run(files, known: known(files), event: event)
        } catch {
            try? history.finish(summary, error: Failure(error))
            throw error
        }
        try history.finish(summary)
        return summary
    }
}

/// Settings of one run of a pipeline.
package struct PipelineRunSettings: Sendable {
    /// How long to wait, in seconds, while another run of the pipeline is going on.
    package var lockWait = 0.0
    /// Try files that failed before, without a pause.
    package var retriesFailed = false

    /// The default settings.
    package init() {}
}

/// The lock of a pipeline: only one run of it at a time writes its outputs.
final class PipelineLock {
    private let lock: RunLock

    /// - Throws: `Failure` `locked`, which names the holder; `StoreError`.
    init(_ file: PipelineFile, library: Library, waiting seconds: Double, runID: String) throws {
        let folder = (library.catalogPath as NSString).deletingLastPathComponent + "/runs"
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let name = ContentHash.sha256(Array(file.identity.utf8)).prefix(32)
        let path = "\(folder)/\(name).lock"
        let holder = "process \(getpid()), run \(runID), since \(Date().formatted(.iso8601))"
        guard let lock = try RunLock.take(path, holder: holder, waiting: seconds) else {
            let other = RunLock.holder(of: path) ?? "it has just ended"
            throw Failure(
                code: "locked", message: "\(file.path): another run of this pipeline is going on (\(other))",
                exitCode: Exit.locked, remedy: .waitForLock)
        }
        self.lock = lock
    }
}
