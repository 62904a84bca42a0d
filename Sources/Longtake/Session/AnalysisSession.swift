internal import Foundation
internal import Media

/// A loaded model with a library: indexes recordings, answers questions and searches, for any number of callers.
///
/// One operation runs at a time, in the order of the calls, on a thread that the session owns. The model, the caches
/// and the catalog are not `Sendable`: they are the actor's, the actor's executor is that thread, and the compiler
/// refuses any other use.
public actor AnalysisSession {
    private let thread: ComputeThread
    private let library: RecordingLibrary
    private let modelPath: String
    private let settings: ModelSettings
    private let cancellation = OperationCancellation()
    // Created on the session's thread and never leave it.
    private var analyzer: Analyzer?
    private var searcher: Searcher?

    /// The session's own thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads the model in a folder of Hugging Face layout, and opens a library.
    ///
    /// `model` may also be the name of a downloaded model: `org/name` or `org/name@revision`.
    /// Weights are mapped: this takes 0.1 s for a small model, and seconds at full size.
    /// - Throws: `Failure` that names the file and the problem.
    public init(model: String, library: RecordingLibrary, settings: ModelSettings = ModelSettings()) async throws {
        thread = try ComputeThread()
        self.library = library
        let model = ModelFolder.path(of: model)
        modelPath = model
        self.settings = settings
        // All properties are set: from here on this runs on the session's thread.
        assertIsolated()
        let opened: Library
        do { opened = try library.open() } catch { throw Failure(error) }
        do {
            analyzer = Analyzer(
                model: try LoadedModel(path: model, settings: settings), library: opened,
                cancellation: cancellation.flag)
        } catch {
            throw Failure(error, subject: model)
        }
    }

    /// Remarks about the model, e.g. that its weights are random.
    public var notes: [String] { analyzer?.model.notes ?? [] }

    /// Estimates what indexing a file takes; the file is opened and probed.
    public func plan(_ path: String, options: IndexOptions = IndexOptions()) throws -> IndexPlan {
        try perform(cancellation.register()) { try $0.plan(Recording(InputPath(path)), options: options) }
    }

    /// Indexes a file, or finds its existing index; the updates are its progress.
    public nonisolated func index(
        _ path: String, options: IndexOptions = IndexOptions()
    ) -> AnalysisTask<IndexProgress, IndexedRecording> {
        start(buffering: .bufferingNewest(1)) { session, operation, updates in
            try await session.index(path, options, operation, updates)
        }
    }

    /// Asks about a file, which is indexed first if necessary, or about an indexed recording by its ID.
    ///
    /// The updates are the pieces of the answer's text.
    public nonisolated func ask(
        _ question: Question, about recording: String, options: IndexOptions = IndexOptions()
    ) -> AnalysisTask<String, Answer> {
        start { session, operation, updates in
            try await session.ask(question, recording, options, operation, updates)
        }
    }

    /// Asks several questions about one recording, which share most of the work; the updates are the answers.
    ///
    /// All questions use the range and the fusion settings of the first.
    public nonisolated func ask(
        _ questions: [Question], about recording: String, options: IndexOptions = IndexOptions()
    ) -> AnalysisTask<Answer, [Answer]> {
        start { session, operation, updates in
            try await session.ask(questions, recording, options, operation, updates)
        }
    }

    /// Finds the moments that a text describes, in everything that is indexed with this model or in some recordings.
    ///
    /// `recordings` are indexed files, folders of them, IDs or starts of IDs.
    /// - Throws: `Failure` `unsupported_model` if the model stores no embeddings.
    public func search(
        _ text: String, in recordings: [String] = [], options: SearchOptions = SearchOptions()
    ) throws -> SearchResult {
        try perform(cancellation.register()) { analyzer in
            let searcher =
                try self.searcher
                ?? Searcher(
                    model: modelPath, library: analyzer.library, settings: settings, cancellation: cancellation.flag)
            self.searcher = searcher
            return try searcher.search(text, in: recordings.map { InputPath($0) }, options: options)
        }
    }

    private func index(
        _ path: String, _ options: IndexOptions, _ operation: Int, _ updates: AsyncStream<IndexProgress>.Continuation
    ) throws -> IndexedRecording {
        try perform(operation) { analyzer in
            try analyzer.index(path, options: options) { progress in _ = updates.yield(progress) }
        }
    }

    private func ask(
        _ question: Question, _ recording: String, _ options: IndexOptions, _ operation: Int,
        _ updates: AsyncStream<String>.Continuation
    ) throws -> Answer {
        try perform(operation) { analyzer in
            try analyzer.ask(
                question, about: recording, options: options,
                onText: { text in
                    updates.yield(text)
                    return true
                })
        }
    }

    private func ask(
        _ questions: [Question], _ recording: String, _ options: IndexOptions, _ operation: Int,
        _ updates: AsyncStream<Answer>.Continuation
    ) throws -> [Answer] {
        try perform(operation) { analyzer in
            var answers: [Answer] = []
            try analyzer.ask(questions, about: InputPath(recording), options: options) { _, answer in
                answers.append(answer)
                updates.yield(answer)
            }
            return answers
        }
    }

    /// Runs an operation on this thread; every error becomes a `Failure`.
    private func perform<Value>(_ operation: Int, _ body: (Analyzer) throws -> Value) throws -> Value {
        do {
            return try cancellation.run(operation) {
                guard let analyzer else { throw LongtakeError(code: .noModel, message: "the model is not loaded") }
                return try body(analyzer)
            }
        } catch {
            throw Failure(error)
        }
    }

    private nonisolated func start<Update, Value>(
        buffering: AsyncStream<Update>.Continuation.BufferingPolicy = .unbounded,
        _ work: @escaping @Sendable (AnalysisSession, Int, AsyncStream<Update>.Continuation) async throws -> Value
    ) -> AnalysisTask<Update, Value> {
        let operation = cancellation.register()
        return AnalysisTask(buffering: buffering) { [cancellation] in
            cancellation.cancel(operation)
        } work: { updates in
            try await work(self, operation, updates)
        }
    }
}

// What belongs to the session's thread; a value of these types cannot leave it.
@available(*, unavailable) extension Analyzer: Sendable {}
@available(*, unavailable) extension Searcher: Sendable {}
@available(*, unavailable) extension Library: Sendable {}
@available(*, unavailable) extension LoadedModel: Sendable {}
