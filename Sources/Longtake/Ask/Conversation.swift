internal import Models
internal import Store
package import Tokenizers

/// A conversation about one recording: each prompt contains the earlier turns and reuses their keys and values.
///
/// A prompt begins with that of the turn before, so only the new rows are computed; the answer is the same as a cold
/// run over the whole prompt. Not thread-safe: belongs to the thread that computes.
package final class Conversation {
    private let asker: Asker
    private let reader: IndexReader
    private let path: String?
    private let onAnswer: (Answer) -> Void
    private var settings: Question
    private var source: Asker.Source
    private var turns: [PromptTurn] = []
    private var prefix: PrefixState?
    private var known: (ids: [Int32], cache: KVCache)?
    /// The last answer; nil before the first question and after `restart`.
    package private(set) var last: Answer?
    /// Rows of the last prompt whose keys and values were reused.
    package private(set) var rowsReused = 0

    init(
        _ asker: Asker, _ reader: IndexReader, settings: Question, path: String?, onAnswer: @escaping (Answer) -> Void
    ) throws {
        self.onAnswer = onAnswer
        self.asker = asker
        self.reader = reader
        self.settings = settings
        self.path = path
        source = try asker.source(reader, from: settings.from, to: settings.to)
    }

    /// Frames in the current range.
    package var frames: Int { source.times.count }
    /// Seconds from the first frame of the whole recording to the end of its last one.
    package var duration: Double { (reader.entries.last?.gridTime ?? 0) + source.frameSeconds }

    /// Changes the range to [from, to) on the file's timeline, in seconds; the earlier turns stay in the prompt.
    package func look(from: Double?, to: Double?) throws {
        (settings.from, settings.to) = (from, to)
        source = try asker.source(reader, from: from, to: to)
        (prefix, known) = (nil, nil)
    }

    /// Continues from turns of an earlier conversation.
    package func recall(_ turns: [PromptTurn]) {
        restart()
        self.turns = turns
    }

    /// Removes all turns.
    package func restart() {
        turns = []
        known = nil
        last = nil
    }

    /// Asks the next question.
    ///
    /// - Throws: as `Asker.ask`; the turns then stay as they were.
    package func ask(
        _ text: String, progress: (Double) -> Void = { _ in }, onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let clock = ContinuousClock()
        let start = clock.now
        var question = settings
        question.text = text
        let loaded = asker.loaded
        let prompt = try loaded.prompt(text, history: turns)
        var answer = asker.emptyAnswer(question, source)
        if let path { answer.recording.path = path }
        guard !source.times.isEmpty else {
            answer.answer = "no frames in range"
            answer.notes.append(Asker.noFrames(reader))
            last = answer
            return answer
        }
        try asker.checkContext(prompt, frames: source.times.count, maxTokens: question.maxTokens)
        let group = try PromptGroup([prompt.ids], model: loaded.llava)
        let tokens = TokenReader(source, model: loaded.llava)
        let prefix = try share(group, prompt.ids, tokens, question) { progress(0.9 * $0) }
        answer.fusion = FusionSummary(
            frames: group.texts[0].frameCount, of: source.times.count,
            relativeStandardError: group.texts[0].relativeStandardError(population: source.times.count))
        answer.reused = prefix.wasKept
        answer.timings.fuse = (clock.now - start).seconds - prefix.prefillSeconds
        let fused = FusedPrompt(text: group.texts[0], visionTokens: tokens.count, readTokens: tokens.read)

        let beforePrefill = clock.now
        let cache = try prefill(fused, prompt.ids, tokens, maxTokens: question.maxTokens) { progress(0.9 + 0.1 * $0) }
        answer.timings.prefill = (clock.now - beforePrefill).seconds + prefix.prefillSeconds
        let live = !question.mustBeSeen
        let look = try asker.speak(question, fused, tokens, shared: cache, answer: &answer, since: start) {
            live ? onText($0) : true
        }
        let words = answer.answer
        asker.judge(&answer, look, question, source)
        if !live, !answer.answer.isEmpty { _ = onText(answer.answer) }
        turns.append(PromptTurn(question: text, answer: words))
        onAnswer(answer)
        last = answer
        return answer
    }

    /// The prefix cache of all turns; from the second turn on only their text is fused.
    ///
    /// Always fuses the whole sample: the reused rows of earlier turns must have been fused with the same frames.
    private func share(
        _ group: PromptGroup, _ ids: [Int32], _ tokens: TokenReader, _ question: Question, progress: (Double) -> Void
    ) throws -> PrefixState {
        if var prefix, let fused = prefix.fused, group.restore(prefix.head) {
            try asker.follow(
                group, fused, times: prefix.times, of: source.times.count, enough: 0, progress: progress)
            prefix.prefillSeconds = 0
            prefix.wasKept = true
            return prefix
        }
        let frames = asker.fusionFrames(source, question.fusion, most: question.fusionFrames)
        let made = try asker.prefix(
            group, source, tokens, ids, frames: frames, enough: 0, room: ids.count + question.maxTokens,
            progress: progress)
        if known == nil { known = (Array(ids.prefix(group.sharedIDs)), made.cache) }
        prefix = made
        return made
    }

    /// The KV cache over all rows of the prompt but the last, which the first token is computed from.
    private func prefill(
        _ fused: FusedPrompt, _ ids: [Int32], _ tokens: TokenReader, maxTokens: Int, progress: (Double) -> Void
    ) throws -> KVCache {
        let language = asker.loaded.llava.language
        let room = fused.count + maxTokens
        var cache: KVCache
        var reused = 0
        if let known {
            let shared = zip(known.ids, ids).prefix { $0 == $1 }.count
            // Each ID is one row, except the image placeholder, which is as many rows as there are vision tokens.
            let rows = ids[..<shared].contains(TextFusion.imageTokenIndex) ? shared - 1 + fused.visionTokens : shared
            reused = min(rows, known.cache.count, fused.count - 1)
            cache = known.cache
            cache.truncate(to: reused)
            // Reserves more than this turn needs, so that not every turn copies the cache.
            if cache.capacity < room { cache = cache.grown(to: room + room / 4) }
        } else {
            cache = language.makeCache(capacity: room)
        }
        rowsReused = reused
        // Unset while the cache is incomplete: an error must not leave a partial one for the next turn.
        self.known = nil
        let rest = fused.count - 1 - reused
        if rest > 0 {
            _ = language.append(count: rest, to: cache, progress: { progress(Double($0) / Double(rest)) }) {
                fused.write($0.lowerBound + reused..<$0.upperBound + reused, into: $1)
            }
        }
        if let failure = tokens.failure { throw failure }
        self.known = (ids, cache)
        return cache
    }
}
