internal import Models

/// A question of a batch: its text is fused, and its vision tokens are in the prefix cache.
struct AnswerRequest {
    /// The question's index in `fusing`, and in the caller's list.
    let index: Int
    let fusing: FusionContext
    let prefix: PrefixCache
    let context: AnswerContext
    /// When the question was asked.
    let start: ContinuousClock.Instant

    var question: Question { fusing.questions[index].question }

    /// How the text was fused; the work that questions share counts for the first one.
    var fusion: FusionOutcome {
        FusionOutcome(
            summary: fusing.summary(of: index), fuseSeconds: index == 0 ? prefix.fuseSeconds : 0,
            prefixSeconds: index == 0 ? prefix.prefillSeconds : 0)
    }

    /// False if the text is held back until it is complete: that of an answer that must be seen may still be replaced,
    /// and one in a form is written in its own way.
    var isShownLive: Bool { !question.mustBeSeen && question.form == nil }

    /// The most frames of a second pass; nil: there is none.
    var focusLimit: Int? { question.focus.frameLimit(after: fusion.summary) }
}

/// Answers that are generated together: each step reads the model's weights once for all of them.
///
/// Every answer is the same as if it were generated alone. Answers are complete in any order, and delivered in that of
/// the questions. Memory per answer in progress: the keys and values of its own rows, and of up to 511 shared ones.
final class AnswerBatch {
    /// Most answers in progress.
    static let maxAnswers = 8

    private let asker: Asker
    private let onText: (Int, String) -> Bool
    private let onAnswer: (Int, Answer) throws -> Void
    /// Questions not delivered yet, in order.
    private var entries: [Entry] = []
    /// True once an answer failed, was refused by the caller, or the work was cancelled; nothing follows then.
    private(set) var hasFailed = false

    /// A pass whose text is being generated.
    private struct Pass {
        let text: TextGeneration
        let sequence: DecodingSequence
        /// Set if this is a second pass.
        let second: SecondPass?
    }

    /// A question from its prompt to its answer.
    private final class Entry {
        enum State {
            case generating(Pass)
            case done(Answer)
            case failed(any Error)
        }

        let index: Int
        var state: State
        /// Nil if the answer needed no generation.
        var request: AnswerRequest?
        var isAlone = false
        /// Memory that its text needs while it is generated.
        var bytes: Int64 = 0

        init(_ index: Int, state: State) { (self.index, self.state) = (index, state) }

        var isGenerating: Bool { if case .generating = state { true } else { false } }
    }

    /// - Parameters:
    ///   - onText: gets a question's index and each piece of its answer, answers in any order; returning false ends
    ///     that answer.
    ///   - onAnswer: gets each answer, in the order in which questions were added.
    init(_ asker: Asker, onText: @escaping (Int, String) -> Bool, onAnswer: @escaping (Int, Answer) throws -> Void) {
        (self.asker, self.onText, self.onAnswer) = (asker, onText, onAnswer)
    }

    /// Adds an answer that needs no generation.
    func add(_ answer: Answer, _ index: Int) throws {
        entries.append(Entry(index, state: .done(answer)))
        try deliver()
    }

    /// Computes a question's prompt and its first token; if the batch is full, first completes an answer in it.
    ///
    /// - Parameters:
    ///   - isAlone: true if the batch gets no other question.
    ///   - progress: gets the fraction of the prompt done.
    func add(_ request: AnswerRequest, isAlone: Bool, progress: (Double) -> Void) throws {
        let bytes = bytes(of: request)
        while hasTexts, generating.count >= Self.maxAnswers || !fits(bytes) { try step() }
        let isAlone = isAlone || !fits(bytes)
        let pass = try orFail { try start(request, isAlone: isAlone, progress: progress) }
        let entry = Entry(request.index, state: .generating(pass))
        (entry.request, entry.isAlone, entry.bytes) = (request, isAlone, bytes)
        entries.append(entry)
        advance(entry)
        try deliver()
        while isAlone, entry.isGenerating { try step() }
    }

    /// Completes and delivers all answers.
    func finish() throws {
        while hasTexts { try step() }
    }

    private var generating: [Entry] { entries.filter(\.isGenerating) }
    private var hasTexts: Bool { entries.contains(where: \.isGenerating) }

    private func bytes(of request: AnswerRequest) -> Int64 {
        let shared = request.prefix.cache.count
        let rows = request.fusing.fusedPrompt(request.index).count + request.question.maxTokens - shared
        return Int64(asker.model.language.sequenceBytes(sharedRows: shared, ownRows: rows))
    }

    /// Whether another text of this size fits in memory, if those in progress grow to their limits.
    private func fits(_ bytes: Int64) -> Bool {
        let needed = generating.reduce(bytes) { $0 + $1.bytes }
        return (try? asker.loaded.checkMemory("an answer", needed: needed)) != nil
    }

    private func orFail<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch {
            hasFailed = true
            throw error
        }
    }

    /// Computes the prompt of a pass over a question, and its first token.
    private func start(
        _ request: AnswerRequest, second: SecondPass? = nil, isAlone: Bool, progress: (Double) -> Void = { _ in }
    ) throws -> Pass {
        let constraint = try asker.forms.constraint(of: request.question)
        let text = TextGeneration(
            second == nil ? request.index : 0, in: second?.fusing ?? request.fusing, loaded: asker.loaded,
            constraint: constraint, since: request.start)
        let isShown = request.isShownLive && (second != nil || request.focusLimit == nil)
        text.onText = { [onText] in !isShown || onText(request.index, $0) }
        text.resume()
        let sequence = try asker.model.language.start(
            text.prompt, options: text.question.sampling, maxTokens: text.question.maxTokens,
            stopIDs: asker.loaded.stopIDs, shared: request.prefix.cache, isAlone: isAlone, constraint: constraint,
            recorder: text.recorder, progress: { progress(text.fractionDone(rows: $0)) },
            onToken: { text.accept($0, $1) })
        text.pause()
        return Pass(text: text, sequence: sequence, second: second)
    }

    /// Generates one token of each text in progress, and delivers what is complete.
    private func step() throws {
        if asker.cancellation.isCancelled { try interrupt() }
        let entries = generating
        let passes = entries.compactMap { if case .generating(let pass) = $0.state { pass } else { nil } }
        for pass in passes { pass.text.resume() }
        asker.model.language.step(passes.map(\.sequence))
        for pass in passes { pass.text.pause() }
        for entry in entries { advance(entry) }
        try deliver()
    }

    /// Attaches the evidence to a text that has ended; then the answer is complete, or its second pass begins.
    private func advance(_ entry: Entry) {
        guard let request = entry.request else { return }
        do {
            while case .generating(let pass) = entry.state, pass.sequence.stop != nil {
                let generation = try pass.text.finish(pass.sequence.result())
                let (question, source) = (request.question, request.fusing.source)
                var passes: AnswerPasses
                if let second = pass.second {
                    passes = second.passes(asker.pass(generation, question, source, second.fusion))
                } else {
                    let first = asker.pass(generation, question, source, request.fusion)
                    let (second, note) = try asker.secondPass(after: first, of: request)
                    if let second {
                        entry.state = .generating(try start(request, second: second, isAlone: entry.isAlone))
                        continue
                    }
                    passes = AnswerPasses(first: first)
                    passes.notes = [note].compactMap(\.self)
                }
                let isShown = request.isShownLive && (request.focusLimit == nil || passes.second != nil)
                if !isShown, !passes.last.text.isEmpty { _ = onText(request.index, passes.last.text) }
                entry.state = .done(
                    asker.makeAnswer(
                        question, source, request.context, passes,
                        reused: request.prefix.wasKept || request.index > 0))
            }
        } catch {
            entry.state = .failed(error)
        }
    }

    /// Delivers the answers that are complete, up to the first one that is not.
    private func deliver() throws {
        while let entry = entries.first {
            switch entry.state {
            case .generating: return
            case .done(let answer):
                entries.removeFirst()
                try orFail { try onAnswer(entry.index, answer) }
            case .failed(let error): try orFail { throw error }
            }
        }
    }

    /// Delivers all answers that are complete, then ends the work.
    private func interrupt() throws {
        hasFailed = true
        for entry in entries {
            if case .done(let answer) = entry.state { try onAnswer(entry.index, answer) }
        }
        try asker.cancellation.check()
    }
}
