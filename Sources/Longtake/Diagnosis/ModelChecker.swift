internal import Checkpoints
internal import Foundation
internal import Glibc
internal import Models
internal import Store
internal import SystemCalls
internal import Tensors
internal import Tokenizers

/// Computes a recording's frames and answers in f32 and in another precision, one model after the other.
///
/// Both computations write their frames to a temporary cache, which is removed afterwards.
package final class ModelChecker {
    private let path: String
    private let reference: String
    private let settings: ModelSettings
    private let options: IndexOptions
    private let questions: [String]
    private let maxTokens: Int
    private let cancellation: Cancellation

    /// Most frames that are compared if no other limit is given.
    package static let defaultFrames = 60
    /// Default of `maxTokens`.
    package static let defaultMaxTokens = 64

    /// Compares the precision of `settings` with f32.
    ///
    /// - Parameters:
    ///   - path: the model's folder.
    ///   - reference: the folder computed in f32, for a folder with quantized weights; nil: the same.
    ///   - options: how frames are sampled.
    ///   - questions: those to ask; without any, only the vision tokens are compared, which does not need the language
    ///     model's weights in memory.
    ///   - maxTokens: most tokens of an answer.
    package init(
        path: String, reference: String? = nil, settings: ModelSettings, options: IndexOptions, questions: [String],
        maxTokens: Int = ModelChecker.defaultMaxTokens, cancellation: Cancellation = Cancellation()
    ) {
        self.path = path
        self.reference = reference ?? path
        self.settings = settings
        self.options = options
        self.questions = questions
        self.maxTokens = maxTokens
        self.cancellation = cancellation
    }

    /// What one precision computes.
    private struct Computed {
        var precision = ""
        /// Vision tokens [frames · C2, H].
        var tokens: [Float] = []
        var width = 0
        var frames = 0
        var frameSeconds = 0.0
        var answers: [String] = []
        var answerIDs: [[Int32]] = []
        /// The reference: the logits of each answer's tokens.
        var logits: [LogitRecord] = []
        /// The other precision: for each answer, the divergence of each token of the reference's answer.
        var divergences: [[Double]] = []
        var notes: [String] = []
    }

    /// Compares at most `frameLimit` frames, spread evenly over the recording.
    ///
    /// - Parameter progress: gets a line of text.
    /// - Throws: `Failure` if the recording or the model cannot be used, or there is too little memory for the f32
    ///   computation; `LongtakeError` `bad_request` if the precision is f32 itself.
    package func check(
        _ recording: InputPath, frameLimit: Int, progress: (String) -> Void = { _ in }
    ) throws -> ModelCheck {
        if try CheckpointFolder(path: reference).isQuantized {
            throw LongtakeError(
                code: .badRequest,
                message: "the weights in \(reference) are quantized; they are compared with the folder they were "
                    + "quantized from")
        }
        var exact = settings
        exact.precision = .f32
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let library = try Library(cachePath: folder.path + "/cache", dataPath: folder.path + "/data")
        let expected = try compute(reference, exact, recording, library, frameLimit, after: nil, progress)
        let found = try compute(path, settings, recording, library, frameLimit, after: expected, progress)
        guard found.width == expected.width, found.tokens.count == expected.tokens.count else {
            throw LongtakeError(
                code: .badRequest, message: "\(path) and \(reference) are models of different shapes")
        }
        let answers = questions.indices.map { index in
            let divergences = found.divergences[index]
            return ModelCheck.Answer(
                question: questions[index], reference: expected.answers[index], answer: found.answers[index],
                same: expected.answers[index] == found.answers[index],
                firstTokenDivergence: divergences.first ?? 0,
                meanDivergence: divergences.reduce(0, +) / Double(max(divergences.count, 1)))
        }
        return ModelCheck(
            model: path, recording: recording.description, precision: found.precision, frames: found.frames,
            frameSeconds: found.frameSeconds,
            visionTokens: ModelCheck.VisionTokens(found.tokens, reference: expected.tokens, width: found.width),
            answers: answers, changed: answers.count { !$0.same }, notes: found.notes)
    }

    /// Loads the model, indexes the recording, asks the questions and forgets the model.
    private func compute(
        _ path: String, _ settings: ModelSettings, _ recording: InputPath, _ library: Library, _ frameLimit: Int,
        after reference: Computed?, _ progress: (String) -> Void
    ) throws -> Computed {
        let loaded: LoadedModel
        do {
            loaded = try LoadedModel(path: path, settings: settings, forFrames: questions.isEmpty)
        } catch {
            throw Failure(error, subject: path)
        }
        let identity = ModelIdentity(loaded)
        let precision = identity.precision
        if reference != nil, precision == ResolvedPrecision.f32.name, path == self.reference {
            throw LongtakeError(
                code: .badRequest, message: "f32 is compared with f32; choose another precision")
        }
        var computed = Computed()
        computed.precision = precision
        let reader: IndexReader
        do {
            let indexer = try Indexer(
                loaded, library: library, options: try limited(loaded, recording, library, frameLimit),
                cancellation: cancellation)
            let opened = Recording(recording)
            defer { opened.close() }
            let indexed = try indexer.index(opened) {
                progress("\(precision): frame \($0.frames)" + ($0.framesTotal.map { " of \($0)" } ?? ""))
            }
            computed.notes = loaded.notes + indexed.notes
            reader = try library.reader(indexed.index)
        } catch {
            throw Failure(error, subject: recording.description)
        }
        let asker = Asker(loaded, cancellation: cancellation)
        let source = try asker.frames(of: reader)
        guard !source.times.isEmpty else {
            throw LongtakeError(code: .badRequest, message: "\(recording.description): no frame to compare")
        }
        computed.frames = source.times.count
        computed.frameSeconds = source.frameSeconds
        computed.width = loaded.llava.hiddenSize
        computed.tokens = try tokens(source, loaded)
        guard !questions.isEmpty else { return computed }
        try asker.compare(
            questions.map { Question($0, maxTokens: maxTokens) }, about: source, with: reference?.answerIDs
        ) { index, answer in
            progress("\(precision): answer \(index + 1) of \(questions.count)")
            computed.answers.append(answer.text)
            computed.answerIDs.append(answer.ids)
            guard let reference else { return computed.logits.append(answer.logits) }
            computed.divergences.append(
                try answer.logits.rows.enumerated().map { position, row in
                    try row.withUnsafeBufferPointer { try reference.logits[index].divergence(position, from: $0) }
                })
        }
        return computed
    }

    /// The options with a frame rate at which the recording has at most `limit` frames.
    private func limited(
        _ loaded: LoadedModel, _ path: InputPath, _ library: Library, _ limit: Int
    ) throws -> IndexOptions {
        var limited = options
        limited.maxFrames = min(options.maxFrames, limit)
        let recording = Recording(path)
        defer { recording.close() }
        let plan = try Indexer(loaded, library: library, options: options, cancellation: cancellation)
            .plan(recording, sizes: false)
        guard let frames = plan.frames, let duration = plan.duration, frames > limit, duration > 0 else {
            return limited
        }
        // Rounded down, so that rounding adds no frame; at least the lowest rate.
        limited.framesPerSecond = max(0.001, (Double(limit) / duration * 1e9).rounded(.down) / 1e9)
        return limited
    }

    private func tokens(_ source: FrameSource, _ loaded: LoadedModel) throws -> [Float] {
        let (perFrame, width) = (loaded.llava.fusion.tokensPerFrame, loaded.llava.hiddenSize)
        var tokens = [Float](repeating: 0, count: source.times.count * perFrame * width)
        try tokens.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for frame in source.times.indices {
                try source.tokens(
                    frame, MatrixView(base + frame * perFrame * width, rows: perFrame, columns: width))
            }
        }
        return tokens
    }
}

/// An answer with its logits, to be compared.
struct ComparedAnswer {
    let text: String
    let ids: [Int32]
    /// The logits before each ID of the given answer, or of this one if none is given.
    let logits: LogitRecord
}

extension Asker {
    /// Answers each question greedily in one pass, without attaching evidence.
    ///
    /// - Parameters:
    ///   - answers: for each question the IDs whose logits to compute; nil: those of the answer itself.
    ///   - onAnswer: gets the question's index and its answer.
    /// - Throws: as `answer`.
    func compare(
        _ questions: [Question], about source: FrameSource, with answers: [[Int32]]?,
        onAnswer: (Int, ComparedAnswer) throws -> Void
    ) throws {
        let prompted = try questions.map { try self.prompted($0) }
        guard let first = prompted.first?.question else { return }
        let fusing = try FusionContext(
            prompted, source, frames: source.fusionFrames(.automatic, limit: first.fusionFrames), model: model)
        for asked in prompted {
            try checkContext(asked.prompt, frames: source.times.count, maxTokens: asked.question.maxTokens)
        }
        let prefix = try prefixCache(for: fusing, freeRows: fusing.answerRows) { _ in }
        for (index, asked) in prompted.enumerated() {
            try cancellation.check()
            var logits = LogitRecord()
            let fused = fusing.fusedPrompt(index)
            let result = try model.language.generate(
                fused, options: .greedy, maxTokens: asked.question.maxTokens, stopIDs: loaded.stopIDs,
                shared: prefix.cache
            ) { _, row in
                if answers == nil { logits.append(row) }
                return !cancellation.isCancelled
            }
            if let answers {
                try model.language.forEachLogits(of: answers[index], after: fused, shared: prefix.cache) {
                    logits.append($1)
                }
            }
            if let failure = fusing.tokens.failure { throw failure }
            try onAnswer(
                index, ComparedAnswer(text: loaded.tokenizer.decode(result.ids), ids: result.ids, logits: logits))
        }
        try cancellation.check()
    }
}
