internal import Foundation
internal import Glibc
internal import Media
internal import Store

/// One pass over the recordings of a pipeline: each is indexed and asked about before the next one.
final class PipelinePass {
    private let file: PipelineFile
    private let library: Library
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let history: PipelineHistory
    private let asker: PipelineAsker
    /// When no more questions are asked; nil: never.
    private let end: ContinuousClock.Instant?

    var summary = BatchSummary()
    /// Keys of the answers that were given before.
    var answered: Set<String> {
        get { asker.answered }
        set { asker.answered = newValue }
    }
    /// Whether files that failed before are tried without a pause.
    var retriesFailed = false

    /// What other machines have done.
    var elsewhere: ResultsElsewhere {
        get { asker.elsewhere }
        set { asker.elsewhere = newValue }
    }

    /// Called for each file that could not be indexed.
    var failed: (InputPath, Failure) -> Void = { _, _ in }

    /// The recording whose turn comes next, while this one is computed.
    private var prefetched: RecordingPrefetch?
    private var ahead = PipelineLookahead()
    /// Nil for a single file.
    private var forecast: BatchForecast?
    private var framesNow = 0
    private var secondsNow = 0.0

    init(
        _ file: PipelineFile, library: Library, analyzer: Deferred<Analyzer>,
        searchModel: PipelineSearchModel?, options: IndexOptions, writer: AnswerWriter, history: PipelineHistory,
        end: ContinuousClock.Instant?, cancellation: Cancellation
    ) {
        self.file = file
        self.library = library
        self.analyzer = analyzer
        self.options = options
        self.history = history
        self.end = end
        asker = PipelineAsker(
            file, library: library, analyzer: analyzer, searchModel: searchModel, writer: writer, end: end,
            cancellation: cancellation)
    }

    /// What happened to one file.
    private enum Outcome {
        case done
        /// The time for indexing is over.
        case outOfTime
        /// It would or may take most of the time that is left; shorter ones come first.
        case deferred
    }

    /// - Throws: only errors that would stop the other files too.
    func run(
        _ files: [InputPath], known: [InputPath: IndexedRecording], event: (BatchEvent) -> Void
    ) throws {
        let before = analyzer.made.map { ($0.times.compute, $0.times.waiting) } ?? (0, 0)
        defer {
            prefetched?.cancel()
            prefetched = nil
            if framesNow > 0 { summary.secondsPerFrame = secondsNow / Double(framesNow) }
            if let times = analyzer.made?.times {
                summary.computeSeconds = times.compute - before.0 + asker.times.compute
                summary.waitForFramesSeconds = times.waiting - before.1
            }
        }
        let now = Int64(time(nil))
        let taken = files.filter { known[$0] != nil || isTried($0, now: now) }
        if files.count > 1, taken.contains(where: { known[$0] == nil }) {
            forecast = BatchForecast(taken, known: known, secondsPerFrame: history.secondsPerFrame)
        }
        var number = 0
        var later: [InputPath] = []
        var unfinished = 0
        func take(_ list: [InputPath], isFirst: Bool, mayDefer: Bool) throws {
            ahead = PipelineLookahead(list)
            for file in list {
                ahead.pass()
                if isFirst { number += 1 }
                if isOver, summary.hasWorked {
                    if let known = known[file], asker.isDone(known) {
                        summary.add(known)
                        summary.answersUnchanged += self.file.questions.count
                    } else {
                        unfinished += 1
                    }
                    continue
                }
                event(.started(path: file.description, number: number, of: files.count))
                let startNext = { self.prefetchNext(known, mayDefer: mayDefer) }
                switch try process(file, known[file], mayDefer: mayDefer, startNext, event: event) {
                case .done: forecast?.remove(file)
                case .outOfTime: unfinished += 1
                case .deferred: later.append(file)
                }
            }
        }
        try take(files, isFirst: true, mayDefer: options.deadline != nil && files.count > 1)
        try take(later, isFirst: false, mayDefer: false)
        if unfinished > 0 || isOver && summary.stopped == nil && asker.leftQuestions {
            summary.stop(left: unfinished)
        }
    }

    private var isOver: Bool { end.map { ContinuousClock.now >= $0 } ?? false }

    private func process(
        _ path: InputPath, _ known: IndexedRecording?, mayDefer: Bool, _ startNext: () -> Void,
        event: (BatchEvent) -> Void
    ) throws -> Outcome {
        let start = ContinuousClock.now
        var row = Catalog.RunFileRow(run: summary.runID, path: path.absolute.description, action: "unchanged")
        func record() throws {
            row.milliseconds = Int64(saturating: (ContinuousClock.now - start).seconds * 1000)
            try history.record(row)
        }
        if let known {
            if let fault = file.input(of: path)?.lengthFault(known.duration, path) {
                return skipped(path, fault, event)
            }
            summary.add(known)
            event(.indexed(known))
            if analyzer.made != nil, prefetched == nil, !asker.isDone(known) { startNext() }
            try ask(known, path, isFresh: false, &row, event)
            if row.answers > 0 || row.error != nil { try record() }
            return .done
        }
        let work = prefetched?.path == path ? prefetched : nil
        if work != nil { prefetched = nil }
        defer { work?.cancel() }
        if !retriesFailed, let pause = history.pause(of: path, now: Int64(time(nil))) {
            summary.filesPaused += 1
            event(.skipped(path: path.description, pause))
            return .done
        }
        // Nothing is begun in the time that is kept for questions.
        if options.isOver, summary.hasWorked { return .outOfTime }
        // Known without the model, which is not loaded for it.
        if let growing = options.growing(path) { return skipped(path, Failure(growing), event) }
        do {
            if let failure = elsewhere.failures[path] { throw failure }
            let analyzer = try analyzer.get()
            let recording = work.map(analyzer.recording) ?? Recording(path)
            if mayDefer, isDeferred(recording, analyzer) {
                recording.close()
                return .deferred
            }
            if let input = file.input(of: path), input.hasLimitedLength,
                let fault = input.lengthFault(
                    try analyzer.plan(recording, options: options, sizes: false).duration, path)
            {
                recording.close()
                return skipped(path, fault, event)
            }
            startNext()
            let indexed = try analyzer.index(recording, prefetched: work, options: options) {
                event(.progress(path: path.description, forecast?.completed($0, of: path) ?? $0))
            }
            framesNow += indexed.framesNow
            secondsNow += indexed.seconds
            summary.add(indexed)
            event(.indexed(indexed))
            (row.action, row.indexID) = (indexed.action.rawValue, indexed.index)
            row.frames = Int64(indexed.framesNow)
            try history.succeeded(path)
            try ask(indexed, path, isFresh: true, &row, event)
            if row.action != "unchanged" || row.answers > 0 || row.error != nil { try record() }
            forecast?.finish(
                path, frames: indexed.frames, framesNow: indexed.framesNow,
                seconds: (ContinuousClock.now - start).seconds)
            return .done
        } catch {
            let failure = Failure(error, subject: path.description)
            row.error = "\(failure.code): \(failure.message)"
            row.frames = Int64(failure.kept?.frames ?? 0)
            row.indexID = failure.kept?.index ?? row.indexID
            if failure.code == LongtakeError.Code.timeIsOver.rawValue {
                row.action = "stopped"
                try record()
                summary.stop(left: 0)
                event(.stopped(path: path.description, failure))
                return .outOfTime
            }
            // An index estimated to exceed the free space fails only that file; a full disk stops the run.
            let isTooBig = failure.code == LongtakeError.Code.notEnoughDisk.rawValue
            if failure.exitCode == Exit.interrupted {
                row.action = "stopped"
                try? record()
                summary.stop(left: 1, reason: failure.code)
                event(.stopped(path: path.description, failure))
            }
            if !isTooBig, failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
            // It was changed since it was looked at.
            if failure.code == LongtakeError.Code.growing.rawValue { return skipped(path, failure, event) }
            row.action = "failed"
            try record()
            try history.failed(path, failure, now: Int64(time(nil)))
            summary.filesFailed += 1
            failed(path, failure)
            event(.failed(path: path.description, failure))
            return .done
        }
    }

    private func skipped(_ path: InputPath, _ reason: Failure, _ event: (BatchEvent) -> Void) -> Outcome {
        summary.filesSkipped += 1
        event(.skipped(path: path.description, reason))
        return .done
    }

    private func ask(
        _ indexed: IndexedRecording, _ path: InputPath, isFresh: Bool, _ row: inout Catalog.RunFileRow,
        _ event: (BatchEvent) -> Void
    ) throws {
        let before = (summary.answers, summary.answersFailed)
        row.indexID = indexed.index
        defer { row.answers = Int64(summary.answers - before.0) }
        try asker.ask(about: indexed, path: path, isFresh: isFresh, &summary, event)
        let failed = summary.answersFailed - before.1
        if failed > 0 { row.error = "answers_failed: \(counted(failed, "question")) could not be answered" }
    }

    /// Begins the next recording that is to be indexed, if none is begun: at most one is ahead.
    ///
    /// Not one that would be skipped, or deferred for its length.
    private func prefetchNext(_ known: [InputPath: IndexedRecording], mayDefer: Bool) {
        guard prefetched == nil, !isOver, !options.isOver, let analyzer = analyzer.made else { return }
        let now = Int64(time(nil))
        let next = ahead.next { known[$0] == nil && isTried($0, now: now) }
        guard let next else { return }
        let input = file.input(of: next)
        let deferral = mayDefer ? self.deferral : nil
        prefetched = analyzer.prefetch(next, options: options) { info in
            if let input, input.lengthFault(info.duration, next) != nil { return false }
            // Without a run to learn from, its turn decides.
            return deferral.map { $0.isLong(info) == false } ?? true
        }
    }

    /// Whether a file that is not indexed is tried by this run, as far as that is known without opening it.
    private func isTried(_ path: InputPath, now: Int64) -> Bool {
        (retriesFailed || history.pause(of: path, now: now) == nil) && options.growing(path) == nil
    }

    /// Seconds of indexing per frame in this run, else in the latest that encoded frames; nil if unknown.
    private var secondsPerFrame: Double? {
        framesNow > 0 ? secondsNow / Double(framesNow) : history.secondsPerFrame
    }

    private var deferral: PipelineDeferral { PipelineDeferral(options: options, secondsPerFrame: secondsPerFrame) }

    /// Whether a recording waits until the others are done.
    private func isDeferred(_ recording: Recording, _ analyzer: Analyzer) -> Bool {
        guard let plan = try? analyzer.plan(recording, options: options, sizes: false), !plan.indexed,
            let info = plan.info
        else { return false }
        forecast?.expect(recording.path, frames: plan.frames)
        // Without a run to learn from, what the model's operations take at least.
        return deferral.isLong(info, estimate: plan.estimatedSeconds) ?? false
    }
}
