internal import Foundation
internal import Glibc
internal import Media
internal import Store

/// Runs a pipeline: each recording is indexed, then asked about at once, and its answers go to the outputs.
///
/// The catalog has the runs, the answers and the files that failed: nothing is asked twice, wherever the outputs went.
package final class PipelineRunner {
    private(set) var file: PipelineFile
    let library: Library
    let analyzer: Deferred<Analyzer>
    private let searchModel: PipelineSearchModel?
    private(set) var options: IndexOptions
    let settings: PipelineRunSettings
    let known: ([InputPath]) throws -> [InputPath: IndexedRecording]
    let cancellation: Cancellation
    /// What other machines have done of the run.
    var elsewhere = ResultsElsewhere()
    /// When no more questions are asked; indexing ends earlier, by `options.deadline`.
    private let end: ContinuousClock.Instant?

    /// A run that loads its model only if needed.
    ///
    /// - Parameters:
    ///   - analyzer: created for the first recording that must be indexed or asked about.
    ///   - searchModel: for the pipeline's text searches.
    ///   - options: include the file's own settings. After their deadline no segment is begun and no question asked,
    ///     except for the first of a run.
    ///   - known: returns the files whose index is up to date.
    package init(
        _ file: PipelineFile, library: Library, analyzer: Deferred<Analyzer>, searchModel: PipelineSearchModel?,
        options: IndexOptions, settings: PipelineRunSettings = PipelineRunSettings(),
        cancellation: Cancellation = Cancellation(),
        known: @escaping ([InputPath]) throws -> [InputPath: IndexedRecording]
    ) {
        self.file = file
        self.library = library
        self.analyzer = analyzer
        self.searchModel = searchModel
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

    /// Seconds that a run waits at its end for alerts.
    static let mostSecondsOfAlerts = 30.0

    /// The part of a limited run in which nothing is indexed.
    static let questionShare = 0.1

    /// Sets what durations in `since` and `until` mean now.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an empty window.
    func select() throws {
        file.clock.selection = try file.selection.resolved(
            zone: options.clock.zone, now: settings.now ?? Date().timeIntervalSince1970)
    }

    /// Checks that the model can do the pipeline's text searches.
    ///
    /// - Throws: `LongtakeError` `unsupported_model`.
    func checkSearches() throws {
        guard file.questions.contains(where: { $0.search != nil }) else { return }
        try searchModel?.check()
    }

    /// The files for which a run would do something: those that are finished and not indexed, or that have questions
    /// open.
    func pending(_ files: [InputPath]) throws -> [InputPath] {
        try select()
        let known = try known(files)
        let answered = try library.catalog.answerKeys(pipeline: file.identity)
        let unwritten = Set(try library.catalog.answers(pipeline: file.identity, unwritten: true).map(\.indexID))
        let pauses = try PipelineHistory.Pauses(file, library.catalog)
        let now = Int64(Glibc.time(nil))
        return files.filter { path in
            if let known = known[path] {
                return file.clock.selection.verdict(on: known) == .selected
                    && (unwritten.contains(known.index)
                        || !file.questions.allSatisfy { answered.contains($0.key(known)) })
            }
            guard let status = FileFingerprint(path: path.absolute.bytes) else { return false }
            return options.growing(path.description, modified: status.modified) == nil
                && (settings.retriesFailed || pauses.pause(of: path, now: now) == nil)
        }
    }

    /// Indexes and asks; `event` gets each step when it happens.
    ///
    /// - Parameter walker: the recordings.
    /// - Throws: `Failure` `locked` if another run of the pipeline is going on, `cannot_write` if an output cannot be
    ///   written, and if no file can be indexed any more; an error of one recording is in the summary.
    package func run(_ walker: InputWalker, event: (BatchEvent) -> Void) throws -> BatchSummary {
        let start = ContinuousClock.now
        try select()
        var summary = BatchSummary()
        let lock = try PipelineLock(file, library: library, waiting: settings.lockWait, runID: summary.runID)
        defer { withExtendedLifetime(lock) {} }
        let sender = try AlertSender(file, catalog: library.catalog)
        // What cannot be sent in this time is left to the next run.
        defer { sender.finish(waiting: cancellation.isCancelled ? 0 : Self.mostSecondsOfAlerts) }
        let time = Int(Glibc.time(nil))
        let writer = AnswerWriter(
            file, catalog: library.catalog, runID: summary.runID, time: time,
            sender: sender, cancellation: cancellation
        )
        writer.report = { [library, file, cancellation] index in
            let data = try library.report(
                about: try library.recording(index: index), pipeline: file.identity, cancellation: cancellation)
            return try ReportPage(data).document()
        }
        // Opened first, so that an unusable output is reported before hours of indexing.
        try writer.open()
        let history = try PipelineHistory(
            file, catalog: library.catalog, runID: summary.runID, started: summary.start)
        let messages = AlertMessage(file: file, runID: summary.runID)
        do {
            defer { summary.finish(seconds: (ContinuousClock.now - start).seconds) }
            for (path, reason) in walker.unreadable {
                summary.filesFailed += 1
                let failure = Failure(
                    code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input)
                event(.failed(path: path.description, failure))
            }
            try checkSearches()
            let pass = PipelinePass(
                file, library: library, analyzer: analyzer, searchModel: searchModel, options: options, writer: writer,
                history: history,
                end: end, cancellation: cancellation)
            pass.answered = try writer.known { event(.note($0)) }
            defer { summary = pass.summary }
            pass.summary = summary
            pass.failed = { path, failure in
                self.send(
                    messages.findings(
                        path: path.absolute.description, stamp: PipelineHistory.stamp(of: path), failure), sender)
            }
            pass.retriesFailed = settings.retriesFailed
            pass.elsewhere = elsewhere
            let known = try known(walker.files)
            try pass.run(sorted(walker.files, known), known: known, event: event)
        } catch {
            let failure = Failure(error)
            try? history.finish(summary, error: failure)
            if failure.exitCode != Exit.interrupted { send(messages.findings(failure), sender) }
            throw error
        }
        try history.finish(summary)
        sender.finish(waiting: Self.mostSecondsOfAlerts)
        let run = try library.run(matching: summary.runID)
        // A digest that cannot be sent does not keep the report from being written, nor the other way round.
        let written = Result { try writeReport(of: run, summary, time: time) }
        if let digest = file.digest {
            try digest.send(library.digest(of: run, style: digest.style).document, time: time)
        }
        try written.get()
        return summary
    }

    /// A run that did nothing leaves the page of the last one that did something.
    private func writeReport(of run: RunRecord, _ summary: BatchSummary, time: Int) throws {
        guard let path = file.report?.path(time: time), summary.hasWorked || run.files?.isEmpty == false else {
            return
        }
        let page = try ReportPage(library.report(of: run, cancellation: cancellation)).document()
        try RunDocument.write(page, to: path, what: "report")
    }

    /// The files in the order in which they are taken.
    ///
    /// - Parameter known: those that are indexed; the others are opened if their length matters.
    /// - Throws: `LongtakeError` `interrupted`.
    func sorted(_ files: [InputPath], _ known: [InputPath: IndexedRecording]) throws -> [InputPath] {
        try file.order.sorted(files) { path in
            try cancellation.check()
            if let known = known[path] { return known.duration }
            return try? Recording(path).probe(options.request(.probe), cancellation).info.duration
        }
    }

    private func send(_ findings: [Catalog.AlertRow], _ sender: AlertSender) {
        guard (try? library.catalog.record(alerts: findings)) != nil else { return }
        sender.send(findings)
    }
}

/// Settings of one run of a pipeline.
package struct PipelineRunSettings: Sendable {
    /// How long to wait, in seconds, while another run of the pipeline is going on.
    package var lockWait = 0.0
    /// Try files that failed before, without a pause.
    package var retriesFailed = false
    /// Before when durations in `since` and `until` are, in seconds since 1970; nil: before the start of the run.
    package var now: Double?

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
