internal import Checkpoints
internal import Foundation
internal import Glibc
internal import Models
internal import Store
package import Tensors
internal import Tokenizers

/// Answers questions from an index: fuses the text with frames, inserts the vision tokens and runs the language model.
package final class Asker {
    let loaded: LoadedModel
    let derived: PrefixCache?
    /// Operations that a prefix cache must save each question to be kept; 0: always keep it.
    var leastSaving = 0.0
    let cancellation: Cancellation
    var model: LlavaMini { loaded.llava }

    /// An asker for one loaded model.
    ///
    /// - Parameter derived: the prefix caches on disk; nil: prefixes are computed for each call.
    package init(_ model: LoadedModel, derived: PrefixCache? = nil, cancellation: Cancellation = Cancellation()) {
        loaded = model
        self.derived = derived
        self.cancellation = cancellation
    }

    /// The frames of a question, from an index or from a still image encoded for it.
    package struct Source {
        let recording: Answer.RecordingReference
        /// Grid times of the frames in the range, in seconds, ascending.
        package let times: [Double]
        /// Their frame numbers in the index.
        let numbers: [Int]
        /// Seconds of video per frame; 0 for a still image.
        let frameSeconds: Double
        /// Converts grid times to the file's timeline.
        let clock: RecordingClock
        /// Indices into `times` of the frames whose patches are never evicted.
        let sample: [Int]
        /// Indices into `times` of the frames whose patches can be read; nil: all.
        let readable: [Int]?
        /// Creation time of the index, part of the prefix cache's key.
        let made: String
        /// Writes frame i's patches [R, D] f32; throws if the frame has none.
        package let patches: (Int, MatrixView) throws -> Void
        /// Writes frame i's vision token rows [C2, H] f32.
        package let tokens: (Int, MatrixView) throws -> Void
        let notes: [String]

        /// A source with these frames; `times` and `numbers` have the same count.
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

        /// The same frames with another way to read their patches.
        package func readingPatches(_ patches: @escaping (Int, MatrixView) throws -> Void) -> Source {
            Source(
                recording: recording, times: times, numbers: numbers, frameSeconds: frameSeconds, clock: clock,
                sample: sample, readable: readable, made: made, patches: patches, tokens: tokens, notes: notes)
        }
    }

    /// Answers one question; see the other `ask`.
    package func ask(
        _ question: Question, of source: Source, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let answers = try ask([question], of: source, progress: progress, onText: { onText($1) })
        guard let answer = answers.first else { throw LongtakeError(code: .badRequest, message: "no question") }
        return answer
    }

    /// Answers questions about the same frames; the common start of their prompts is fused and prefilled once.
    ///
    /// The time of the common part counts as the first answer's.
    /// - Parameters:
    ///   - questions: all with the first one's range and fusion settings; the source holds the frames of that range.
    ///   - progress: gets the fraction done of the work before the next answer's first token.
    ///   - onText: gets the question's index and each piece of its answer; returning false ends that answer.
    ///   - onAnswer: gets each answer when it is complete.
    /// - Throws: `ModelError` if a prompt does not fit the context or a value is not a number; `StoreError` for a
    ///   damaged record; `TokenizerError` for a question that cannot be tokenized.
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
            // Text that may still be replaced is held back: that of a first pass, and of an answer that must be seen.
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

    /// Generates the answer: sets its text, token IDs and timings, and returns the attention over frames.
    ///
    /// - Parameter shared: the KV cache over the first rows of `fused`; nil: none.
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
            tokens: fused.prefixRows..<fused.prefixRows + fused.visionTokens,
            tokensPerFrame: model.fusion.tokensPerFrame)
        let result = try model.language.generate(
            fused, options: question.sampling, maxTokens: question.maxTokens, stopIDs: loaded.stopIDs, shared: shared,
            recorder: watch, progress: { progress(Double($0) / Double(max(fused.count, 1))) }
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
        // Clamped to more than any context, so that the sum cannot overflow.
        let other = prompt.ids.count - 1 + min(maxTokens, Int(Int32.max))
        let needed = frames * perFrame + other
        let limit = model.language.config.maxPositions
        guard needed <= limit else {
            throw ModelError.context(
                needed: needed, limit: limit, frames: frames, tokensPerFrame: perFrame, other: other)
        }
    }
}

/// Memory use of this process and its children.
package enum ProcessMemory {
    /// Largest resident set so far, in bytes (VmHWM of /proc/self/status); 0 if unavailable.
    package static var peakBytes: Int { field("VmHWM:") }
    /// Largest resident set of any child that has exited, in bytes; 0 if unavailable.
    package static var peakOfChildren: Int {
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
