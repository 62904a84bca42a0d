internal import Checkpoints
internal import Foundation
internal import Glibc
internal import Models
internal import Store
package import Tensors
internal import Tokenizers

/// Answers questions from an index: fuses the text with frames, lays the vision tokens between, lets the model speak.
public final class Asker {
    let loaded: LoadedModel
    let derived: PrefixCache?
    /// The least work, in operations, that keeping what questions share must save each of them.
    var leastSaving = 0.0
    let cancellation: Cancellation
    var model: LlavaMini { loaded.llava }

    /// - Parameter derived: keeps what all questions about the same frames share; nil: it is computed for each.
    public init(_ model: LoadedModel, derived: PrefixCache? = nil, cancellation: Cancellation = Cancellation()) {
        loaded = model
        self.derived = derived
        self.cancellation = cancellation
    }

    /// Where the frames of a question come from: an index, or pictures encoded on the spot.
    package struct Source {
        let recording: Answer.RecordingReference
        /// Grid times of the frames asked about, in order.
        package let times: [Double]
        /// Their numbers in the index.
        let numbers: [Int]
        /// Seconds that a frame stands for; 0 for a picture.
        let frameSeconds: Double
        /// Puts grid times on the file's time line.
        let clock: RecordingClock
        /// Places among the frames of those whose patches always stay.
        let sample: [Int]
        /// Places of the frames whose patches can be read; nil for all.
        let readable: [Int]?
        /// When the index was made.
        let made: String
        /// Writes frame i's patches [R, D] f32; throws for a frame that has none.
        package let patches: (Int, MatrixView) throws -> Void
        /// Writes frame i's vision token rows [C2, H] f32.
        package let tokens: (Int, MatrixView) throws -> Void
        let notes: [String]

        package init(
            recording: Answer.RecordingReference, times: [Double], numbers: [Int], frameSeconds: Double,
            clock: RecordingClock = RecordingClock(), sample: [Int] = [], readable: [Int]? = nil, made: String = "",
            patches: @escaping (Int, MatrixView) throws -> Void, tokens: @escaping (Int, MatrixView) throws -> Void,
            notes: [String]
        ) {
            self.recording = recording
            self.times = times
            self.numbers = numbers
            self.frameSeconds = frameSeconds
            self.clock = clock
            self.sample = sample
            self.readable = readable
            self.made = made
            self.patches = patches
            self.tokens = tokens
            self.notes = notes
        }

        /// The same frames, their patches read otherwise.
        package func readingPatches(_ patches: @escaping (Int, MatrixView) throws -> Void) -> Source {
            Source(
                recording: recording, times: times, numbers: numbers, frameSeconds: frameSeconds, clock: clock,
                sample: sample, readable: readable, made: made, patches: patches, tokens: tokens, notes: notes)
        }
    }

    /// One question; see the other `ask`.
    package func ask(
        _ question: Question, of source: Source, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let answers = try ask([question], of: source, progress: progress, onText: { onText($1) })
        guard let answer = answers.first else { throw LongtakeError(code: .badRequest, message: "no question") }
        return answer
    }

    /// Answers questions about the same frames. What their prompts begin with meets the frames once for all of them.
    ///
    /// The time of what is shared counts as the first answer's.
    /// - Parameters:
    ///   - questions: to be fused alike; the source has the frames of their range.
    ///   - progress: fraction done of the work before the first token of the next answer.
    ///   - onText: gets the question's place and the answer's text as it comes; returning false ends that answer.
    ///   - onAnswer: gets each answer when it is complete.
    /// - Throws: `ModelError` when a prompt does not fit the context or a value is not a number; `StoreError` for a
    ///   damaged record; `TokenizerError` for a question that breaks the rules.
    func ask(
        _ questions: [Question], of source: Source, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void = { _, _ in }
    ) throws -> [Answer] {
        let clock = ContinuousClock()
        var start = clock.now
        var answers = questions.map { emptyAnswer($0, source) }
        let prompts = try questions.map { try loaded.prompt($0.text) }
        guard !source.times.isEmpty, let first = questions.first else {
            for (place, answer) in answers.enumerated() { try onAnswer(place, answer) }
            return answers
        }
        guard first.fusionFrames > 0 else {
            throw LongtakeError(
                code: .badRequest, message: "fusion frames are \(first.fusionFrames); there is at least one")
        }
        let group = try PromptGroup(prompts.map(\.ids), model: model)
        for (prompt, question) in zip(prompts, questions) {
            try checkContext(prompt, frames: source.times.count, maxTokens: question.maxTokens)
        }
        let reader = TokenReader(source, model: model)
        let frames = fusionFrames(source, first.fusion, most: first.fusionFrames)
        let room = zip(prompts, questions).map { $0.ids.count + $1.maxTokens }.max() ?? 0
        let prefix = try prefix(
            group, source, reader, prompts[0].ids, frames: frames, enough: first.fusionError ?? loaded.fusionError,
            room: room
        ) {
            progress(0.9 * $0)
        }
        for place in answers.indices {
            answers[place].fusion = FusionSummary(
                frames: group.texts[place].frameCount, of: source.times.count,
                relativeStandardError: group.texts[place].relativeStandardError(population: source.times.count))
        }
        for place in answers.indices { answers[place].reused = prefix.wasKept || place > 0 }
        answers[0].timings.fuse = prefix.fuseSeconds
        answers[0].timings.prefill = prefix.prefillSeconds
        for (place, question) in questions.enumerated() {
            let focus = question.focus.count(after: answers[place].fusion)
            let fused = FusedPrompt(text: group.texts[place], visionTokens: reader.count, readTokens: reader.read)
            // Words that may yet be replaced are not said before they are final: those of a first look, and what must be seen.
            func say(_ words: String) -> Bool { question.mustBeSeen || onText(place, words) }
            var isSaid = focus == nil
            let look = try speak(question, fused, reader, shared: prefix.cache, answer: &answers[place], since: start) {
                progress(0.9 + 0.1 * $0)
            } onText: {
                isSaid ? say($0) : true
            }
            judge(&answers[place], look, question, source)
            if let focus, !question.focus.isContent(with: answers[place]) {
                isSaid = try lookAgain(
                    question, prompts[place], source, reader, prefix, look: look, count: focus,
                    answer: &answers[place], since: start, onText: say)
            }
            if !isSaid || question.mustBeSeen, !answers[place].answer.isEmpty {
                _ = onText(place, answers[place].answer)
            }
            try onAnswer(place, answers[place])
            start = clock.now
        }
        return answers
    }

    func emptyAnswer(_ question: Question, _ source: Source) -> Answer {
        let range = [source.times.first, source.times.last].compactMap { $0 }
        var answer = Answer(
            question: question.text, answer: "", tokenIDs: [], found: false, recording: source.recording,
            frames: source.times.count, range: range.map(source.clock.fileTime), rangeFromFirstFrame: range,
            fusion: FusionSummary(frames: 0, of: 0, relativeStandardError: nil), stop: "no_frames_in_range",
            timings: Answer.Timings(), model: loaded.name, notes: loaded.notes + source.notes)
        answer.created = Date().formatted(.iso8601)
        answer.timings.load = loaded.loadSeconds
        answer.timings.peakMemoryBytes = ProcessMemory.peakBytes
        return answer
    }

    /// Lets the model speak: fills in the answer's words, ids and times, and returns where it looked meanwhile.
    ///
    /// - Parameter shared: the cache over the first rows of `fused`; nil for none.
    func speak(
        _ question: Question, _ fused: FusedPrompt, _ reader: TokenReader, shared: KVCache?,
        answer: inout Answer, since start: ContinuousClock.Instant, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool
    ) throws -> AttentionSummary {
        let clock = ContinuousClock()
        let beforePrefill = clock.now
        var firstToken: ContinuousClock.Instant?
        var stream = StreamingDecoder(tokenizer: loaded.tokenizer)
        var (ended, late) = (false, false)
        let evidence = loaded.checkpoint.evidence
        let watch = AttentionRecorder(
            groups: AttentionSummary.groups(evidence, language: model.language.config),
            tokens: fused.head..<fused.head + fused.visionTokens, perFrame: model.fusion.tokensPerFrame)
        let result = try model.language.answer(
            fused, sampling: question.sampling, maxTokens: question.maxTokens, stopIDs: loaded.stopIDs, shared: shared,
            watch: watch, progress: { progress(Double($0) / Double(max(fused.count, 1))) }
        ) { id, logits in
            if reader.failure != nil { return false }
            answer.certainty = min(answer.certainty ?? 1, Sampler.certainty(logits))
            if firstToken == nil { firstToken = clock.now }
            let piece = stream.append(id)
            if !piece.isEmpty {
                answer.answer += piece
                ended = !onText(piece)
            }
            late = (clock.now - beforePrefill).seconds >= question.timeLimit
            return !ended && !late
        }
        if let failure = reader.failure { throw failure }
        let rest = stream.finish()
        answer.answer += rest
        if !rest.isEmpty, !ended { _ = onText(rest) }
        let finished = clock.now

        answer.tokenIDs = result.ids
        answer.stop = late && !ended && result.stop == .cancelled ? "time_limit" : result.stop.rawValue
        let first = firstToken ?? finished
        answer.timings.prefill += (first - beforePrefill).seconds
        answer.timings.firstToken = (first - start).seconds
        answer.timings.decode += (finished - first).seconds
        if result.ids.count > 1 {
            answer.timings.secondsPerToken = (finished - first).seconds / Double(result.ids.count - 1)
        }
        answer.timings.load = loaded.loadSeconds
        answer.timings.peakMemoryBytes = ProcessMemory.peakBytes
        return AttentionSummary(watch, trained: evidence != nil)
    }

    func judge(_ answer: inout Answer, _ look: AttentionSummary, _ question: Question, _ source: Source) {
        answer.judge(look, question, threshold: loaded.checkpoint.evidence?.found, source: source)
    }

    func checkContext(_ prompt: Prompt, frames: Int, maxTokens: Int) throws {
        let perFrame = model.fusion.tokensPerFrame
        guard maxTokens > 0 else {
            throw LongtakeError(code: .badRequest, message: "max_tokens is \(maxTokens); an answer has at least one")
        }
        // More than any context holds, and little enough to add up.
        let other = prompt.ids.count - 1 + min(maxTokens, Int(Int32.max))
        let needed = frames * perFrame + other
        let limit = model.language.config.maxPositions
        guard needed <= limit else {
            throw ModelError.context(
                needed: needed, limit: limit, frames: frames, tokensPerFrame: perFrame, other: other)
        }
    }
}

/// The process's memory, from /proc/self/status.
public enum ProcessMemory {
    /// Largest resident set so far, in bytes (VmHWM); 0 where the kernel does not say.
    public static var peakBytes: Int { field("VmHWM:") }
    /// Largest resident set of any child that has ended, in bytes.
    public static var peakOfChildren: Int {
        var usage = rusage()
        return getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage) == 0 ? usage.ru_maxrss * 1024 : 0
    }

    private static func field(_ name: String) -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix(name) {
                return (Int(text.dropFirst(name.count).filter(\.isNumber)) ?? 0) * 1024
            }
        }
        return 0
    }
}
