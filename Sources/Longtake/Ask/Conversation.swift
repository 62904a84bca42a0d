internal import Foundation
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
    private let path: String
    private let onAnswer: (Answer) -> Void
    private var settings: Question
    private var source: FrameSource
    private var turns: [PromptTurn] = []
    private var prefix: PrefixCache?
    /// The keys and values of the first rows of the last prompt, with the IDs of those rows.
    private var previous: (ids: [Int32], cache: KVCache)?
    /// The last answer; nil before the first question and after `restart`.
    package private(set) var last: Answer?
    /// Rows of the last prompt whose keys and values were reused.
    package private(set) var rowsReused = 0

    init(
        _ asker: Asker, _ reader: IndexReader, settings: Question, path: String, onAnswer: @escaping (Answer) -> Void
    ) throws {
        self.onAnswer = onAnswer
        self.asker = asker
        self.reader = reader
        self.settings = settings
        self.path = path
        source = try asker.frames(of: reader, from: settings.from, to: settings.to)
    }

    /// Frames in the current range.
    package var frames: Int { source.times.count }
    /// Seconds from the first frame of the whole recording to the end of its last one.
    package var duration: Double { (reader.entries.last?.gridTime ?? 0) + source.frameSeconds }

    /// Changes the range to [from, to) on the file's timeline, in seconds; the earlier turns stay in the prompt.
    package func setRange(from: Double?, to: Double?) throws {
        (settings.from, settings.to) = (from, to)
        source = try asker.frames(of: reader, from: from, to: to)
        (prefix, previous) = (nil, nil)
    }

    /// Continues from turns of an earlier conversation.
    package func recall(_ turns: [PromptTurn]) {
        restart()
        self.turns = turns
    }

    /// Removes all turns.
    package func restart() {
        turns = []
        previous = nil
        last = nil
    }

    /// Asks the next question.
    ///
    /// - Throws: as `Asker.answer`; the turns then stay as they were.
    package func ask(
        _ text: String, progress: (Double) -> Void = { _ in }, onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let clock = ContinuousClock()
        let start = clock.now
        var question = settings
        question.text = text
        let asked = try asker.prompted(question, history: turns)
        var context = AnswerContext(path: path)
        context.created = Date().formatted(.iso8601)
        guard !source.times.isEmpty else {
            let answer = asker.makeAnswer(question, source, context, nil)
            last = answer
            return answer
        }
        try asker.checkContext(asked.prompt, frames: source.times.count, maxTokens: question.maxTokens)
        let fusing = try FusionContext(
            [asked], source, frames: source.fusionFrames(question.fusion, limit: question.fusionFrames),
            model: asker.model)
        let prefix = try prefixCache(for: fusing) { progress(0.9 * $0) }
        let fuseSeconds = (clock.now - start).seconds - prefix.prefillSeconds

        let beforePrefill = clock.now
        let cache = try prefill(fusing) { progress(0.9 + 0.1 * $0) }
        let fusion = FusionOutcome(
            summary: fusing.summary(of: 0), fuseSeconds: fuseSeconds,
            prefixSeconds: (clock.now - beforePrefill).seconds + prefix.prefillSeconds)
        let isShown = !question.mustBeSeen && question.form == nil
        let pass = try asker.pass(0, in: fusing, fusion, cache: cache, since: start) { isShown ? onText($0) : true }
        if !isShown, !pass.text.isEmpty { _ = onText(pass.text) }
        let answer = asker.makeAnswer(
            question, source, context, AnswerPasses(first: pass), reused: prefix.wasKept)
        // The prompt of the next turn contains what the model said, even if the answer shows something else.
        turns.append(PromptTurn(question: text, answer: pass.generation.text))
        onAnswer(answer)
        last = answer
        return answer
    }

    /// The prefix cache of all turns; from the second turn on only their text is fused.
    ///
    /// Always fuses the whole sample: the reused rows of earlier turns must have been fused with the same frames.
    private func prefixCache(for fusing: FusionContext, progress: (Double) -> Void) throws -> PrefixCache {
        if var prefix, let fused = prefix.fused, fusing.group.restore(prefix.head) {
            try asker.fuseSuffixes(fusing, after: fused, repeats: prefix.repeats, progress: progress)
            prefix.prefillSeconds = 0
            prefix.wasKept = true
            return prefix
        }
        let built = try asker.prefixCache(for: fusing, freeRows: fusing.answerRows, progress: progress)
        if previous == nil { previous = (fusing.sharedIDs, built.cache) }
        prefix = built
        return built
    }

    /// The KV cache over all rows of the prompt but the last, which the first token is computed from.
    private func prefill(_ fusing: FusionContext, progress: (Double) -> Void) throws -> KVCache {
        let language = asker.model.language
        let (fused, ids) = (fusing.fusedPrompt(0), fusing.questions[0].prompt.ids)
        let rows = fused.count + fusing.questions[0].question.maxTokens
        var cache: KVCache
        var reused = 0
        if let previous {
            let shared = zip(previous.ids, ids).prefix { $0 == $1 }.count
            // Each ID is one row, except the image placeholder, which is as many rows as there are vision tokens.
            let sharedRows =
                ids[..<shared].contains(TextFusion.imageTokenIndex) ? shared - 1 + fused.visionTokens : shared
            reused = min(sharedRows, previous.cache.count, fused.count - 1)
            cache = previous.cache
            cache.truncate(to: reused)
            // Reserves more than this turn needs, so that not every turn copies the cache.
            if cache.capacity < rows { cache = cache.grown(to: rows + rows / 4) }
        } else {
            cache = language.makeCache(capacity: rows)
        }
        rowsReused = reused
        // Unset while the cache is incomplete: an error must not leave a partial one for the next turn.
        previous = nil
        let rest = fused.count - 1 - reused
        if rest > 0 {
            _ = language.append(count: rest, to: cache, progress: { progress(Double($0) / Double(rest)) }) {
                fused.write($0.lowerBound + reused..<$0.upperBound + reused, into: $1)
            }
        }
        if let failure = fusing.tokens.failure { throw failure }
        previous = (ids, cache)
        return cache
    }
}
