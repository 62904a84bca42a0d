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
    private let cancellation: Cancellation
    private let derive: PrefixCache.Policy
    private let asker: Asker
    private let probes = ProbeMemory()

    /// An analyzer for one model and one cache.
    ///
    /// - Parameter derive: when prefix caches are computed and kept.
    package init(
        model: LoadedModel, library: Library, derive: PrefixCache.Policy = .auto,
        cancellation: Cancellation = Cancellation()
    ) {
        self.model = model
        self.library = library
        self.derive = derive
        self.cancellation = cancellation
        // A quarter of the cache's limit: more would evict indexes, which take far longer to compute.
        let limit = ((try? library.cacheLimit(remember: false)) ?? 0) / 4
        asker = Asker(
            model, derived: derive == .never ? nil : PrefixCache(library.cache, limit: limit),
            cancellation: cancellation)
        if derive == .auto || derive == .autoLazy { asker.leastSaving = Self.leastSaving }
    }

    /// Operations a prefix cache must save each question under `auto`: about 0.2 s of two cores.
    static let leastSaving = 20e9

    /// Indexes a file, or finds its existing index.
    ///
    /// - Throws: `Failure` that names the file.
    package func index(
        _ path: InputPath, options: IndexOptions, progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        try index(open(path), path.description, options: options, progress: progress)
    }

    /// Indexes the file at `path`; see the other `index`.
    package func index(
        _ path: String, options: IndexOptions, progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        try index(InputPath(path), options: options, progress: progress)
    }

    private func index(
        _ file: RecordingFile, _ name: String, options: IndexOptions, progress: (IndexProgress) -> Void
    ) throws -> IndexedRecording {
        let started = Date().formatted(.iso8601)
        do {
            let indexer = try indexer(options)
            let outcome = try indexer.index(file, progress: progress)
            let kept = library.cache.derivedBytes(indexID: outcome.manifest.key.id)
            if derive == .now || derive == .auto {
                let manifest = outcome.manifest
                try makeDerivedState(manifest.key.id) {
                    progress(
                        IndexProgress(
                            frames: manifest.frames, framesTotal: manifest.frames, framesNow: outcome.framesNow,
                            seconds: outcome.seconds, frameSeconds: manifest.key.frameSeconds, derived: $0))
                }
            }
            if outcome.action != .unchanged { note(file.displayPath, outcome.manifest.state, started) }
            var indexed = IndexedRecording(
                action: outcome.action.rawValue, id: outcome.id, index: outcome.manifest.key.id, path: file.displayPath,
                frames: outcome.manifest.frames, framesNow: outcome.framesNow, duration: outcome.manifest.duration,
                bytes: outcome.manifest.bytes, state: outcome.manifest.state,
                notes: outcome.manifest.warnings, counters: outcome.manifest.counters, seconds: outcome.seconds)
            indexed.prefixCacheBytes = library.cache.derivedBytes(indexID: indexed.index)
            indexed.prefixCacheBytesNow = max(0, indexed.prefixCacheBytes - kept)
            return indexed
        } catch {
            let failure = Failure(error, subject: name)
            let isStopped = failure.code == LongtakeError.Code.timeIsOver.rawValue
            note(file.displayPath, isStopped ? "stopped" : "failed", started, error: failure.message)
            throw failure
        }
    }

    /// Records the outcome of indexing in the catalog; ignored if the catalog cannot be written.
    private func note(_ path: String, _ state: String, _ started: String, error: String? = nil) {
        try? library.catalog.record(
            job: Catalog.JobRow(
                id: "job_" + UUID().uuidString.lowercased(), kind: "index", path: path,
                state: state == "complete" ? "done" : state, started: started, ended: Date().formatted(.iso8601),
                error: error))
    }

    /// Computes the prefix cache over the whole recording; does nothing if that exceeds the model's context.
    private func makeDerivedState(_ indexID: String, progress: (Double) -> Void) throws {
        try cancellation.check()
        let reader = try library.reader(indexID)
        do {
            try asker.derive(reader, progress: progress)
        } catch let error as ModelError where error.code == .contextExceeded {
            return
        } catch let error as StoreError where error.code == .notKept {
            return
        }
    }

    /// Estimates what indexing the file would take.
    ///
    /// - Parameters:
    ///   - sizes: whether to report the cache's size, which requires a stat of every file in it.
    ///   - strict: throw the errors that indexing would throw: too little space, a file that is still growing.
    /// - Throws: `Failure` that names the file.
    package func plan(
        _ path: InputPath, options: IndexOptions, sizes: Bool = true, strict: Bool = false
    ) throws -> IndexPlan {
        do {
            var plan = try indexer(options).plan(open(path), sizes: sizes, strict: strict)
            if derive == .now || derive == .auto, !plan.indexed {
                plan.prefixCacheBytes = plan.frames.map { asker.prefixBytes(frames: $0) }
            }
            return plan
        } catch {
            throw Failure(error, subject: path.description)
        }
    }

    /// Estimates what indexing the file at `path` would take; see the other `plan`.
    package func plan(_ path: String, options: IndexOptions) throws -> IndexPlan {
        try plan(InputPath(path), options: options)
    }

    /// Asks several questions about a recording just indexed, over the range of the first question.
    ///
    /// The prompts' common part is computed once; `onAnswer` gets each answer when it is complete.
    package func ask(
        _ questions: [Question], index: IndexedRecording, onAnswer: (_ place: Int, Answer) throws -> Void
    ) throws {
        try cancellation.check()
        library.cache.touchAsked(indexID: index.index)
        let reader = try library.reader(index.index)
        try asker.ask(questions, index: reader) { place, answer in
            var answer = answer
            answer.recording.path = index.path
            library.remember(answer, questionID: questions[place].id)
            try onAnswer(place, answer)
            try cancellation.check()
        }
    }

    /// The index that a question is asked about.
    private struct Opened {
        var reader: IndexReader
        /// The result of indexing the recording for this question; nil if it was named by its ID.
        var indexed: IndexedRecording?
        /// A note if the index was made with other settings than requested.
        var otherwise: String?
        let seconds: Double
    }

    /// Opens the index for a file (creating it if missing) or for a recording ID.
    private func open(
        _ recording: InputPath, options: IndexOptions, indexing: (IndexProgress) -> Void,
        beforeIndexing: () throws -> Void
    ) throws -> Opened {
        let clock = ContinuousClock()
        let start = clock.now
        let name = recording.description
        let isFile = recording.isStandardInput || recording.withCString { access($0, F_OK) } == 0
        let known = isFile ? [] : try library.indexes(matching: name)
        if isFile, !recording.isStandardInput,
            let known = try KnownFiles(library, model: ModelIdentity(model), options: options).unchanged(recording)
        {
            return Opened(
                reader: try library.reader(known.index), indexed: known, seconds: (clock.now - start).seconds)
        }
        if isFile || known.isEmpty {
            guard isFile || !name.hasPrefix("vid_") else { throw LongtakeError.unknown(name) }
            // An existing index has already been checked; probing the file again would take longer than an answer.
            let indexer = try indexer(options)
            if try recording.isStandardInput || !indexer.isIndexed(open(recording)) { try beforeIndexing() }
            let made = try index(recording, options: options, progress: indexing)
            return Opened(
                reader: try library.reader(made.index), indexed: made,
                seconds: (clock.now - start).seconds)
        }
        let indexer = try indexer(options)
        let own = known.filter { $0.key.model == model.hash }
        // Prefer the index with the requested options; any other can answer too, at its own frame rate.
        guard let fitting = own.first(where: { $0.key == indexer.key(content: $0.key.content) }) ?? own.first else {
            throw LongtakeError(
                code: .unknownRecording,
                message: "\(name) is indexed with \(known.map(\.modelName).joined(separator: ", ")), not with "
                    + "\(model.name): give the file to index it with this model, or choose the other model",
                remedy: .model)
        }
        var opened = Opened(
            reader: try library.reader(fitting.key.id),
            seconds: (clock.now - start).seconds)
        let wanted = indexer.key(content: fitting.key.content)
        if wanted.sampling != fitting.key.sampling || wanted.record != fitting.key.record {
            opened.otherwise =
                "options: the index there is has sampling \(fitting.key.sampling) and record "
                + "\(fitting.key.record); give the file to index it as this command's options say"
        }
        return opened
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
    /// - Throws: as `Asker.ask`, and `Failure` if the file cannot be indexed.
    package func ask(
        _ questions: [Question], about recording: InputPath, options: IndexOptions, every segment: Double? = nil,
        indexing: (IndexProgress) -> Void = { _ in }, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        // Reject invalid questions before anything is opened.
        for question in questions { _ = try model.prompt(question.text) }
        var opened = try open(recording, options: options, indexing: indexing) {
            try checkFit(questions, recording, options: options, every: segment)
        }
        library.cache.touchAsked(indexID: opened.reader.manifest.key.id)
        // The file of a recording named by its ID may have moved since it was indexed.
        let path = library.currentPath(of: opened.reader.manifest).description
        // A note for every answer if a damaged index had to be rebuilt.
        var damage: String?
        var said = 0
        let finish = { (place: Int, answer: Answer) in
            var answer = answer
            if place == 0, said == 0 { answer.timings.index = opened.seconds }
            if let damage { answer.notes.append(damage) }
            if let otherwise = opened.otherwise { answer.notes.append(otherwise) }
            if let indexed = opened.indexed {
                if indexed.framesNow > 0, place == 0, said == 0 {
                    answer.timings.secondsPerFrame = indexed.seconds / Double(indexed.framesNow)
                }
                answer.recording.path = recording.absolute.description
            } else {
                answer.recording.path = path
            }
            said += 1
            self.library.remember(answer, questionID: questions[place].id)
            try onAnswer(place, answer)
        }
        do {
            try ask(questions, opened.reader, every: segment, progress: progress, onText: onText, onAnswer: finish)
        } catch let error as StoreError where error.code == .damaged && opened.indexed != nil && said == 0 {
            // All records are read before the first token is generated, so no part of the answer has been shown.
            var again = options
            again.force = true
            let made = try index(recording, options: again, progress: indexing)
            opened.reader = try library.reader(made.index)
            opened.indexed = made
            damage = "damaged: \(error.message); the recording was indexed again"
            try ask(questions, opened.reader, every: segment, progress: progress, onText: onText, onAnswer: finish)
        }
    }

    /// Asks about the whole range of the first question, or about one window of it after the other.
    private func ask(
        _ questions: [Question], _ reader: IndexReader, every segment: Double?, progress: (Double) -> Void,
        onText: (Int, String) -> Bool, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        guard let segment, let first = questions.first else {
            return try asker.ask(questions, index: reader, progress: progress, onText: onText, onAnswer: onAnswer)
        }
        let frame = reader.manifest.key.frameSeconds
        let clock = reader.manifest.clock
        guard segment.isFinite, segment >= frame else { throw Self.badSegment(segment, frame) }
        // By default, windows start at multiples of their length on the file's timeline, wherever the first frame is.
        let start = first.from ?? (clock.start / segment).rounded(.down) * segment
        let end = min(first.to ?? .infinity, clock.fileTime((reader.entries.last?.gridTime ?? 0) + frame))
        guard (end - start) / segment <= Double(Self.maxSegments) else { throw Self.badSegment(segment, frame) }
        // An empty range gives one answer that says so, not one per window.
        guard start < end else {
            return try asker.ask(questions, index: reader, progress: progress, onText: onText, onAnswer: onAnswer)
        }
        var number = 0
        // Multiplied, not summed up, so that rounding errors do not add up.
        while start + Double(number) * segment < end {
            let from = start + Double(number) * segment
            let to = min(start + Double(number + 1) * segment, end)
            let parts = questions.map { question in
                var part = question
                (part.from, part.to) = (from, to)
                return part
            }
            try asker.ask(parts, index: reader, progress: progress, onText: onText) { place, answer in
                var answer = answer
                answer.segment = [from, to]
                answer.segmentFromFirstFrame = [clock.fromFirstFrame(from), clock.fromFirstFrame(to)]
                try onAnswer(place, answer)
            }
            try cancellation.check()
            number += 1
        }
    }

    private static func badSegment(_ segment: Double, _ frame: Double) -> LongtakeError {
        LongtakeError(
            code: .badRequest,
            message: "segments of \(segment) s: possible is at least a frame's time, \(frame) s, and at most "
                + "\(maxSegments) segments in the range")
    }

    /// Most windows that a range is asked about in turn.
    static let maxSegments = 100_000

    /// For each question, the deviation of the mean over sampled frames from that over all, and its estimate.
    package func fusionDeviations(
        of questions: [Question], about recording: InputPath, options: IndexOptions
    ) throws -> [FusionDeviation] {
        try asker.deviations(questions, open(recording, options: options, indexing: { _ in }) {}.reader)
    }

    /// Starts a conversation about a file, which is indexed first if necessary, or about a recording's ID.
    ///
    /// - Parameter settings: all properties but the text apply to each turn.
    package func converse(
        about recording: InputPath, settings: Question, options: IndexOptions,
        indexing: (IndexProgress) -> Void = { _ in }
    ) throws -> Conversation {
        let opened = try open(recording, options: options, indexing: indexing) {}
        library.cache.touchAsked(indexID: opened.reader.manifest.key.id)
        let path =
            opened.indexed == nil
            ? library.currentPath(of: opened.reader.manifest).description : recording.absolute.description
        return try Conversation(
            asker, opened.reader, settings: settings, path: path, onAnswer: { [library] in library.remember($0) })
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
    /// - Throws: `Failure` if the image cannot be read; as `Asker.ask`.
    package func ask(
        _ question: Question, aboutImage path: String, onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let picture: RGBImage
        do {
            picture = try FrameStream.picture(RecordingFile(picture: InputPath(path).bytes))
        } catch {
            throw Failure(error, subject: path)
        }
        return try asker.ask(question, picture: picture, name: path, onText: onText)
    }

    /// Checks, before hours of indexing, that the answers will fit the model's context; probes the file once.
    private func checkFit(
        _ questions: [Question], _ path: InputPath, options: IndexOptions, every segment: Double?
    ) throws {
        let plan = path.isStandardInput ? nil : try plan(path, options: options)
        // An existing index is checked later, with its exact number of frames.
        if let plan, plan.indexed { return }
        for question in questions {
            let clock = RecordingClock(start: plan?.info?.fileStart ?? 0)
            let start = max(0, clock.fromFirstFrame(question.from ?? 0))
            let last = question.to.map(clock.fromFirstFrame) ?? .infinity
            let end = min(plan?.duration ?? 0, last, segment.map { start + $0 } ?? .infinity)
            let seconds = max(0, end - start)
            let frames = min(Int(saturating: min(seconds * options.framesPerSecond, 1e9)), plan?.frames ?? 0)
            try asker.checkContext(
                try model.prompt(question.text), frames: frames, maxTokens: question.maxTokens)
        }
    }

    private func indexer(_ options: IndexOptions) throws -> Indexer {
        try Indexer(model, library: library, options: options, probes: probes, cancellation: cancellation)
    }

    private func open(_ path: InputPath) throws -> RecordingFile {
        do {
            return try path.open(cancellation: cancellation)
        } catch {
            throw Failure(error, subject: path.description)
        }
    }
}

extension LongtakeError {
    static func unknown(_ name: String) -> Self {
        .init(code: .unknownRecording, message: "no recording \(name) is indexed", remedy: .list)
    }
}
