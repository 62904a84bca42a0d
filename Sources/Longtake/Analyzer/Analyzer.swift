internal import Foundation
internal import Glibc
internal import Media
internal import Models
internal import Store

/// A loaded model with a library: indexes recordings and answers questions, for the command line and pipelines.
///
/// Takes paths and text, returns values that can be printed. Not thread-safe: belongs to the thread that computes.
package final class Analyzer {
    /// The model that indexes and answers.
    package let model: LoadedModel
    /// The indexes and the catalog.
    package let library: Library
    /// Times of computing and of waiting for frames since the model was loaded.
    package let times = WorkTimes()
    let cancellation: Cancellation
    private let prefixCache: PrefixCache.Policy
    private let asker: Asker

    /// An analyzer for one model and one cache.
    ///
    /// - Parameters:
    ///   - prefixCache: when prefix caches are computed and kept.
    ///   - partialInterval: time of computing after which the part of a prefix cache computed so far is saved.
    package init(
        model: LoadedModel, library: Library, prefixCache: PrefixCache.Policy = .auto,
        cancellation: Cancellation = Cancellation(), partialInterval: Duration = .seconds(600)
    ) {
        self.model = model
        self.library = library
        self.prefixCache = prefixCache
        self.cancellation = cancellation
        // A quarter of the cache's limit: more would evict indexes, which take far longer to compute.
        let limit = ((try? library.cacheLimit(remember: false)) ?? 0) / 4
        asker = Asker(
            model, prefixCaches: prefixCache == .never ? nil : PrefixCacheStore(library.cache, limit: limit),
            cancellation: cancellation)
        asker.partialInterval = partialInterval
        if prefixCache == .auto || prefixCache == .autoLazy { asker.minimumSaving = Self.minimumSaving }
    }

    /// Operations a prefix cache must save each question under `auto`: about 0.2 s of two cores.
    static let minimumSaving = 20e9

    /// Indexes a recording, or finds its existing index; closes its file.
    ///
    /// - Parameter prefetched: the recording's work ahead.
    /// - Throws: `Failure` that names the file.
    package func index(
        _ recording: Recording, prefetched: RecordingPrefetch? = nil, options: IndexOptions,
        progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        defer { recording.close() }
        let path = try open(recording).displayPath
        let started = Date().formatted(.iso8601)
        do {
            var indexed = try indexer(options).index(recording, prefetched: prefetched, progress: progress)
            let bytesBefore = library.cache.derivedBytes(indexID: indexed.index)
            if prefixCache == .now || prefixCache == .auto {
                try times.computing {
                    try makePrefixCache(indexed.index) { done, frameSeconds in
                        progress(
                            IndexProgress(
                                stage: .prefixCache(done: done), frames: indexed.frames, framesTotal: indexed.frames,
                                framesNow: indexed.framesNow, seconds: indexed.seconds, frameSeconds: frameSeconds))
                    }
                }
            }
            if indexed.action != .unchanged { recordJob(path, indexed.state.rawValue, started) }
            indexed.prefixCacheBytes = library.cache.derivedBytes(indexID: indexed.index)
            indexed.prefixCacheBytesNow = max(0, indexed.prefixCacheBytes - bytesBefore)
            return indexed
        } catch {
            let failure = Failure(error, subject: recording.path.description)
            let isStopped = failure.code == LongtakeError.Code.timeIsOver.rawValue
            recordJob(path, isStopped ? "stopped" : "failed", started, error: failure.message)
            throw failure
        }
    }

    /// Indexes the file at `path`; see the other `index`.
    package func index(
        _ path: InputPath, options: IndexOptions, progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        try index(Recording(path), options: options, progress: progress)
    }

    /// Indexes the file at `path`; see the other `index`.
    package func index(
        _ path: String, options: IndexOptions, progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        try index(Recording(InputPath(path)), options: options, progress: progress)
    }

    /// Records the outcome of indexing in the catalog; ignored if the catalog cannot be written.
    private func recordJob(_ path: String, _ state: String, _ started: String, error: String? = nil) {
        try? library.catalog.record(
            job: Catalog.JobRow(
                id: "job_" + UUID().uuidString.lowercased(), kind: "index", path: path,
                state: state == "complete" ? "done" : state, started: started, ended: Date().formatted(.iso8601),
                error: error))
    }

    /// Computes the prefix cache over the whole recording; does nothing if that exceeds the model's context.
    ///
    /// - Parameter progress: gets the fraction done and the seconds per frame.
    private func makePrefixCache(_ indexID: String, progress: (_ done: Double, Double) -> Void) throws {
        try cancellation.check()
        let reader = try library.reader(indexID)
        do {
            try asker.savePrefixCache(of: reader) { progress($0, reader.manifest.key.frameSeconds) }
        } catch let error as ModelError where error.code == .contextExceeded {
            return
        } catch let error as StoreError where error.code == .notKept {
            return
        }
    }

    /// Estimates what indexing a recording would take.
    ///
    /// - Parameters:
    ///   - sizes: whether to report the cache's size, which requires a stat of every file in it.
    ///   - strict: throw the errors that indexing would throw: too little space, a file that is still growing.
    /// - Throws: `Failure` that names the file.
    package func plan(
        _ recording: Recording, options: IndexOptions, sizes: Bool = true, strict: Bool = false
    ) throws -> IndexPlan {
        do {
            var plan = try indexer(options).plan(recording, sizes: sizes, strict: strict)
            if prefixCache == .now || prefixCache == .auto, !plan.indexed {
                plan.prefixCacheBytes = plan.frames.map { asker.prefixBytes(frames: $0) }
            }
            plan.questionMemoryBytes = plan.frames.flatMap { asker.questionMemory(frames: $0) }
                .flatMap { $0 >= IndexPlan.leastQuestionMemory ? $0 : nil }
            return plan
        } catch {
            throw Failure(error, subject: recording.path.description)
        }
    }

    /// Estimates what indexing the file at `path` would take; see the other `plan`.
    package func plan(_ path: String, options: IndexOptions) throws -> IndexPlan {
        try plan(Recording(InputPath(path)), options: options)
    }

    /// Asks questions about ranges of a recording just indexed.
    ///
    /// What the questions of a range share is computed once, and the answers of all ranges are generated together.
    /// - Parameter onAnswer: gets each answer when it is complete, in the order of the ranges and their questions.
    /// - Throws: as `Asker.answer`, after the answers that come before the failing range.
    package func ask(
        _ ranges: [RangeQuestions], index recording: IndexedRecording,
        onAnswer: (_ range: Int, _ question: Int, Answer) throws -> Void
    ) throws {
        try cancellation.check()
        library.cache.touchAsked(indexID: recording.index)
        let reader = try library.reader(recording.index)
        let order = ranges.indices.flatMap { range in ranges[range].questions.indices.map { (range, $0) } }
        var delivered = 0
        func deliver(_: Int, _ answer: Answer) throws {
            let (range, question) = order[delivered]
            delivered += 1
            library.remember(answer, questionID: ranges[range].questions[question].id)
            try onAnswer(range, question, answer)
        }
        try times.computing {
            try answer(ranges, reader, recording, isAlone: order.count == 1, deliver)
        }
        try cancellation.check()
    }

    private func answer(
        _ ranges: [RangeQuestions], _ reader: IndexReader, _ recording: IndexedRecording, isAlone: Bool,
        _ deliver: (Int, Answer) throws -> Void
    ) throws {
        try asker.withBatch(onText: { _, _ in true }, onAnswer: deliver) { batch in
            for range in ranges {
                let part = try (range.questions.first?.selection ?? RecordingSelection()).narrowed(
                    from: range.from, to: range.to, on: reader.manifest.clock, of: recording.path)
                try asker.add(
                    range.questions.map { try asker.prompted($0) },
                    about: asker.frames(of: reader, from: part.from, to: part.to),
                    in: AnswerContext(path: recording.path, segment: range.segment), isAlone: isAlone,
                    to: batch, progress: { _ in })
                try cancellation.check()
            }
        }
    }

    /// Returns the windows of a recording just indexed: start and end in seconds on the file's timeline.
    ///
    /// - Parameters:
    ///   - length: a window's length in seconds; windows start at multiples of it unless `from` is given.
    ///   - from: start of the first window; nil: the recording's start.
    ///   - to: end of the last window; nil: the recording's end.
    ///   - selection: only windows that are at least partly at these times of day.
    /// - Throws: `LongtakeError` `bad_request` for a length below one frame's or too many windows, and for times of day
    ///   of a recording whose start is unknown; `StoreError`.
    package func windows(
        of recording: IndexedRecording, every length: Double, from: Double? = nil, to: Double? = nil,
        in selection: RecordingSelection = RecordingSelection()
    ) throws -> [[Double]] {
        let reader = try library.reader(recording.index)
        let part = try selection.narrowed(from: nil, to: nil, on: reader.manifest.clock, of: recording.path)
        return try Self.windows(of: reader, every: length, from: from, to: to).filter {
            $0[0] < part.to ?? .infinity && $0[1] > part.from ?? -.infinity
        }
    }

    private static func windows(
        of reader: IndexReader, every length: Double, from: Double?, to: Double?
    ) throws -> [[Double]] {
        let frame = reader.manifest.key.frameSeconds
        let clock = reader.manifest.clock
        guard length.isFinite, length >= frame else { throw badSegment(length, frame) }
        // By default, windows start at multiples of their length on the file's timeline, wherever the first frame is.
        let start = from ?? (clock.start / length).rounded(.down) * length
        let end = min(to ?? .infinity, clock.fileTime((reader.entries.last?.gridTime ?? 0) + frame))
        guard (end - start) / length <= Double(maxSegments) else { throw badSegment(length, frame) }
        var windows: [[Double]] = []
        // Multiplied, not summed up, so that rounding errors do not add up.
        while start + Double(windows.count) * length < end {
            let number = Double(windows.count)
            windows.append([start + number * length, min(start + (number + 1) * length, end)])
        }
        return windows
    }

    /// The index that a question is asked about.
    private struct OpenIndex {
        var reader: IndexReader
        /// The result of indexing the recording for this question; nil if it was named by its ID.
        var indexed: IndexedRecording?
        /// A note if the index was made with other settings than requested.
        var settingsNote: String?
        let seconds: Double
    }

    /// Opens the index for a file (creating it if missing) or for a recording ID.
    ///
    /// - Parameter beforeIndexing: called if the file must be indexed first.
    private func openIndex(
        of recording: Recording, options: IndexOptions, indexing: (IndexProgress) -> Void,
        beforeIndexing: () throws -> Void = {}
    ) throws -> OpenIndex {
        let clock = ContinuousClock()
        let start = clock.now
        let path = recording.path
        let name = path.description
        let isFile = path.isStandardInput || path.exists
        let known = isFile ? [] : try library.indexes(matching: name)
        if isFile, !path.isStandardInput,
            let known = try KnownFiles(library, model: ModelIdentity(model), options: options).unchanged(path)
        {
            return OpenIndex(
                reader: try library.reader(known.index), indexed: known, seconds: (clock.now - start).seconds)
        }
        if isFile || known.isEmpty {
            guard isFile || !name.hasPrefix("vid_") else { throw LongtakeError.unknown(name) }
            // An existing index has already been checked; probing the file again would take longer than an answer.
            if try path.isStandardInput || !isIndexed(recording, options) { try beforeIndexing() }
            let made = try index(recording, options: options, progress: indexing)
            return OpenIndex(
                reader: try library.reader(made.index), indexed: made,
                seconds: (clock.now - start).seconds)
        }
        try options.validate()
        let settings = IndexSettings(options, ModelIdentity(model))
        let ofModel = known.filter { $0.key.model == model.hash }
        // Prefer the index with the requested options; any other can answer too, at its own frame rate.
        let chosen = ofModel.first { $0.key == settings.key(content: $0.key.content) } ?? ofModel.first
        guard let chosen else {
            throw LongtakeError(
                code: .unknownRecording,
                message: "\(name) is indexed with \(known.map(\.modelName).joined(separator: ", ")), not with "
                    + "\(model.name): give the file to index it with this model, or choose the other model",
                remedy: .model)
        }
        var opened = OpenIndex(reader: try library.reader(chosen.key.id), seconds: (clock.now - start).seconds)
        let wanted = settings.key(content: chosen.key.content)
        if wanted.sampling != chosen.key.sampling || wanted.record != chosen.key.record {
            opened.settingsNote =
                "options: the existing index has sampling \(chosen.key.sampling) and record "
                + "\(chosen.key.record); give the file to index it with this command's options"
        }
        return opened
    }

    /// Returns true if the recording's content is indexed; opens its file.
    private func isIndexed(_ recording: Recording, _ options: IndexOptions) throws -> Bool {
        let indexer = try indexer(options)
        return try naming(recording) { try indexer.isIndexed(recording) }
    }

    /// Asks about a file, which is indexed first if necessary, or about an indexed recording by its ID.
    ///
    /// Several questions use the range and fusion mode of the first; their prompts' common part is computed once. A
    /// damaged index is rebuilt, once, if no answer was given from it.
    /// - Parameters:
    ///   - segment: length in seconds; the questions are asked about each window of this length in turn, from the start
    ///     of the range to its end. nil: about the whole range.
    ///   - onText: gets a question's index and each piece of its answer; returning false ends that answer.
    ///   - onAnswer: gets each answer when it is complete.
    /// - Throws: as `Asker.answer`, and `Failure` if the file cannot be indexed.
    package func ask(
        _ questions: [Question], about recording: Recording, options: IndexOptions, every segment: Double? = nil,
        indexing: (IndexProgress) -> Void = { _ in }, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        // Reject invalid questions before anything is opened.
        let prompted = try questions.map { try asker.prompted($0) }
        var opened = try openIndex(of: recording, options: options, indexing: indexing) {
            try checkFit(prompted, recording, options: options, every: segment)
        }
        library.cache.touchAsked(indexID: opened.reader.manifest.key.id)
        // The file of a recording named by its ID may have moved since it was indexed.
        let currentPath = library.currentPath(of: opened.reader.manifest).description
        var answered = 0
        func finish(_ index: Int, _ answer: Answer) throws {
            answered += 1
            library.remember(answer, questionID: questions[index].id)
            try onAnswer(index, answer)
        }
        /// - Parameter damage: a note for every answer if a damaged index had to be rebuilt.
        func answer(damage: String? = nil) throws {
            let indexed = opened.indexed
            let context = AnswerContext(
                path: indexed == nil ? currentPath : recording.path.absolute.description,
                notes: [damage, opened.settingsNote].compactMap(\.self), indexSeconds: opened.seconds,
                secondsPerFrame: indexed.flatMap { $0.framesNow > 0 ? $0.seconds / Double($0.framesNow) : nil })
            try self.answer(
                prompted, opened.reader, context, every: segment, progress: progress, onText: onText, onAnswer: finish)
        }
        do {
            try answer()
        } catch let error as StoreError where error.code == .damaged && opened.indexed != nil && answered == 0 {
            // All records are read before the first token is generated, so no part of the answer has been shown.
            var forced = options
            forced.force = true
            let rebuilt = try index(recording, options: forced, progress: indexing)
            opened.reader = try library.reader(rebuilt.index)
            opened.indexed = rebuilt
            try answer(damage: "damaged: \(error.message); the recording was indexed again")
        }
    }

    /// Asks about the file at `path`, or about an indexed recording by its ID; see the other `ask`.
    package func ask(
        _ questions: [Question], about path: InputPath, options: IndexOptions, every segment: Double? = nil,
        indexing: (IndexProgress) -> Void = { _ in }, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        try ask(
            questions, about: Recording(path), options: options, every: segment, indexing: indexing,
            progress: progress, onText: onText, onAnswer: onAnswer)
    }

    /// Answers about the whole range of the first question, or about one window of it after the other.
    private func answer(
        _ questions: [PromptedQuestion], _ reader: IndexReader, _ context: AnswerContext, every segment: Double?,
        progress: (Double) -> Void, onText: (Int, String) -> Bool, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        guard let first = questions.first?.question else { return }
        let name = context.path ?? reader.manifest.path
        let range = try first.range(on: reader.manifest.clock, of: name)
        func answerRange(
            from: Double?, to: Double?, _ context: AnswerContext, isAlone: Bool, _ batch: AnswerBatch
        ) throws {
            try asker.add(
                questions, about: asker.frames(of: reader, from: from, to: to), in: context, isAlone: isAlone,
                to: batch, progress: progress)
        }
        func answerRange() throws {
            try asker.withBatch(onText: onText, onAnswer: onAnswer) {
                try answerRange(from: range.from, to: range.to, context, isAlone: questions.count == 1, $0)
            }
        }
        guard let segment else { return try answerRange() }
        let windows = try Self.windows(of: reader, every: segment, from: range.from, to: range.to)
        // An empty range gives one answer that says so, not one per window.
        guard !windows.isEmpty else { return try answerRange() }
        var context = context
        try asker.withBatch(onText: onText, onAnswer: onAnswer) { batch in
            for window in windows {
                context.segment = window
                try answerRange(from: window[0], to: window[1], context, isAlone: false, batch)
                context = context.withoutTimings
                try cancellation.check()
            }
        }
    }

    private static func badSegment(_ segment: Double, _ frame: Double) -> LongtakeError {
        LongtakeError(
            code: .badRequest,
            message: "segments of \(segment) s; use at least one frame's duration, \(frame) s, and at most "
                + "\(maxSegments) segments in the range")
    }

    /// Most windows that a range is asked about in turn.
    static let maxSegments = 100_000

    /// For each question, the deviation of the mean over sampled frames from that over all, and its estimate.
    package func fusionDeviations(
        of questions: [Question], about path: InputPath, options: IndexOptions
    ) throws -> [FusionDeviation] {
        try asker.fusionDeviations(
            of: questions, openIndex(of: Recording(path), options: options, indexing: { _ in }).reader)
    }

    /// Records the attention while a question is answered about a file, which is indexed first if necessary, or about a
    /// recording's ID.
    ///
    /// - Throws: as `Asker.inspectAttention`, and `Failure` if the file cannot be indexed.
    package func inspectAttention(
        _ question: Question, about path: InputPath, options: IndexOptions,
        indexing: (IndexProgress) -> Void = { _ in }
    ) throws -> AttentionInspection {
        let opened = try openIndex(of: Recording(path), options: options, indexing: indexing)
        return try asker.inspectAttention(
            question, about: asker.frames(of: opened.reader, from: question.from, to: question.to))
    }

    /// Records the attention while a question is answered about a still image (PNG, JPEG, WebP).
    package func inspectAttention(_ question: Question, aboutImage path: InputPath) throws -> AttentionInspection {
        do {
            let image = try FrameStream.image(RecordingFile(image: path.bytes))
            return try asker.inspectAttention(question, about: asker.frame(of: image, path: path.description))
        } catch {
            throw Failure(error, subject: path.description)
        }
    }

    /// Starts a conversation about a file, which is indexed first if necessary, or about a recording's ID.
    ///
    /// - Parameter settings: all properties but the text apply to each turn.
    package func converse(
        about path: InputPath, settings: Question, options: IndexOptions,
        indexing: (IndexProgress) -> Void = { _ in }
    ) throws -> Conversation {
        let opened = try openIndex(of: Recording(path), options: options, indexing: indexing)
        library.cache.touchAsked(indexID: opened.reader.manifest.key.id)
        let currentPath = opened.indexed == nil ? library.currentPath(of: opened.reader.manifest) : path.absolute
        return try Conversation(
            asker, opened.reader, settings: settings, path: currentPath.description,
            onAnswer: { [library] in library.remember($0) })
    }

    /// Asks one question about a file or an indexed recording; see the other `ask`.
    package func ask(
        _ question: Question, about recording: InputPath, options: IndexOptions,
        indexing: (IndexProgress) -> Void = { _ in }, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        var answers: [Answer] = []
        try ask(
            [question], about: recording, options: options, indexing: indexing, progress: progress,
            onText: { onText($1) }, onAnswer: { answers.append($1) })
        guard let answer = answers.first else { throw LongtakeError(code: .badRequest, message: "no question") }
        return answer
    }

    /// Asks one question about a file's path or a recording's ID; see the other `ask`.
    package func ask(
        _ question: Question, about recording: String, options: IndexOptions = IndexOptions(),
        indexing: (IndexProgress) -> Void = { _ in }, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        try ask(
            question, about: InputPath(recording), options: options, indexing: indexing, progress: progress,
            onText: onText)
    }

    /// Asks about a still image (PNG, JPEG, WebP).
    ///
    /// - Throws: `Failure` if the image cannot be read; as `Asker.answer`.
    package func ask(
        _ question: Question, aboutImage path: String, onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let image: RGBImage
        do {
            image = try FrameStream.image(RecordingFile(image: InputPath(path).bytes))
        } catch {
            throw Failure(error, subject: path)
        }
        return try asker.answer(question, about: asker.frame(of: image, path: path), onText: onText)
    }

    /// Checks, before hours of indexing, that the answers will fit the model's context; probes the file once.
    private func checkFit(
        _ questions: [PromptedQuestion], _ recording: Recording, options: IndexOptions, every segment: Double?
    ) throws {
        let plan = recording.path.isStandardInput ? nil : try plan(recording, options: options)
        // An existing index is checked later, with its exact number of frames.
        if let plan, plan.indexed { return }
        for asked in questions {
            let question = asked.question
            let clock = origin(of: recording.path, plan?.info, options).clock
            // Without a start the time of day is an error later, which says so.
            let range = (try? question.range(on: clock, of: "")) ?? (from: question.from, to: question.to)
            let start = max(0, clock.fromFirstFrame(range.from ?? 0))
            let last = range.to.map(clock.fromFirstFrame) ?? .infinity
            let end = min(plan?.duration ?? 0, last, segment.map { start + $0 } ?? .infinity)
            let seconds = max(0, end - start)
            let frames = min(Int(saturating: min(seconds * options.framesPerSecond, 1e9)), plan?.frames ?? 0)
            try asker.checkContext(asked.prompt, frames: frames, maxTokens: question.maxTokens)
        }
    }

    func indexer(_ options: IndexOptions) throws -> Indexer {
        try Indexer(model, library: library, options: options, cancellation: cancellation, times: times)
    }

    /// Opens the recording's file; errors name the path as it was given.
    private func open(_ recording: Recording) throws -> RecordingFile {
        try naming(recording) { try recording.open(cancellation) }
    }

    /// Runs `body`; its errors become those of the recording.
    func naming<Value>(_ recording: Recording, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw Failure(error, subject: recording.path.description)
        }
    }
}

extension LongtakeError {
    static func unknown(_ name: String) -> Self {
        .init(code: .unknownRecording, message: "no recording \(name) is indexed", remedy: .list)
    }
}
