internal import Checkpoints
internal import Glibc
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// What all questions about the same frames share: the prompt up to the recording, fused, and the language model's keys and values
/// over it and the vision tokens.
///
/// Exact: the prompt's beginning and the tokens come before the question, and everything is causal.
struct PrefixState {
    /// The fused sums of the prompt's rows before the recording's place.
    let head: TextFusion.Head
    /// The fusion frames that were computed, each standing for `times` of them in a row; nil where they are too many to keep.
    let fused: PreFusionCache?
    let times: [Int]
    /// Keys and values of the fused head and the vision tokens; questions go on behind them and are forgotten again.
    let cache: KVCache
    /// Whether it was read, not computed.
    var wasKept = false
    var fuseSeconds = 0.0
    var prefillSeconds = 0.0
}

extension Asker {
    /// The most frames whose pre-fusion keys and values are kept: 0.6 GB of them at full size.
    static let mostFused = 64

    /// Makes and keeps what questions about the whole of an index share, unless it is kept already.
    ///
    /// - Parameter progress: how much of it is done, 0 to 1.
    /// - Throws: as `ask`.
    func derive(_ reader: IndexReader, progress: (Double) -> Void) throws {
        guard let derived, !reader.entries.isEmpty else { return }
        let source = try source(reader, from: nil, to: nil)
        let prompt = try loaded.prompt("?")
        try checkContext(prompt, frames: source.times.count, maxTokens: 1)
        let group = try PromptGroup([prompt.ids], model: model)
        let frames = fusionFrames(source, .automatic, most: FusionPlan.sampleSize)
        let key = PrefixCache.Key(source, head: Array(prompt.ids.prefix(group.sharedIDs)), frames: frames, self)
        guard isWorthKeeping(frames: source.times.count, fused: frames.count), !derived.has(key) else { return }
        let tokens = TokenReader(source, model: model)
        _ = try prefix(
            group, source, tokens, prompt.ids, frames: frames, enough: 1, room: prompt.ids.count, progress: progress)
    }

    /// Whether what questions share saves each of them enough to be kept.
    func isWorthKeeping(frames: Int, fused: Int) -> Bool {
        guard leastSaving > 0 else { return true }
        let each = (loaded.cost.frame?.promptHead ?? 0) + (loaded.cost.questionWorkPerFusionFrame ?? 0)
        return Double(fused) * each + Double(frames) * (loaded.cost.prefixWorkPerFrame ?? 0) >= leastSaving
    }

    /// The bytes of what questions about so many frames share; 0 where it is not kept.
    func prefixBytes(frames: Int) -> Int64 {
        let fused = min(frames, Self.mostFused)
        guard derived != nil, isWorthKeeping(frames: frames, fused: fused), let prompt = try? loaded.prompt("?"),
            let group = try? PromptGroup([prompt.ids], model: model)
        else { return 0 }
        let each = PreFusionCache(model, headRows: group.headRows, capacity: 1).bytesPerFrame
        let token = 2 * model.language.config.layerCount * model.language.keyBytes
        let rows = frames * model.fusion.tokensPerFrame + group.headRows
        let sums = group.headRows * model.language.config.hiddenSize * MemoryLayout<Float>.size
        return Int64(rows) * Int64(token) + Int64(fused) * Int64(each) + Int64(sums)
    }

    /// What the group's prompts share, from what was kept or made now; the group is fused with the frames afterwards.
    ///
    /// - Parameters:
    ///   - enough: the error at which a sample is fused no further.
    ///   - room: rows and answers that follow the vision tokens.
    func prefix(
        _ group: PromptGroup, _ source: Source, _ reader: TokenReader, _ ids: [Int32], frames: [Int], enough: Double,
        room: Int, progress: (Double) -> Void
    ) throws -> PrefixState {
        let clock = ContinuousClock()
        let start = clock.now
        try checkMemory(
            source, group, fused: min(frames.count, Self.mostFused), rows: group.sharedIDs + reader.count + room)
        let key = PrefixCache.Key(source, head: Array(ids.prefix(group.sharedIDs)), frames: frames, self)
        let known = derived?.load(key, model: model, headRows: group.headRows, room: room)
        if var known, let fused = known.fused, group.restore(known.head) {
            try follow(group, fused, times: known.times, of: source.times.count, enough: enough, progress: progress)
            known.wasKept = true
            known.fuseSeconds = (clock.now - start).seconds
            progress(1)
            return known
        }
        let keep =
            frames.count <= Self.mostFused
            ? PreFusionCache(model, headRows: group.headRows, capacity: frames.count) : nil
        // Fusing a frame takes as long as reading about 50 tokens, measured at full size.
        let fusing = 0.98 * Double(frames.count) / (Double(frames.count) + 0.02 * Double(reader.count))
        let times = try fuse(group, source, frames: frames, keep: keep) {
            try cancellation.check()
            progress(fusing * $0)
        }
        if let keep {
            try follow(group, keep, times: times, of: source.times.count, enough: enough) {
                progress(fusing + 0.02 * $0)
            }
        }
        let fuseSeconds = (clock.now - start).seconds
        let beforePrefill = clock.now
        let cache =
            try known?.cache
            ?? prefill(group, reader, room: room) {
                try cancellation.check()
                progress(fusing + 0.02 + (0.98 - fusing) * $0)
            }
        let prefix = PrefixState(
            head: group.texts[0].head(rows: group.headRows), fused: keep, times: times, cache: cache,
            fuseSeconds: fuseSeconds, prefillSeconds: (clock.now - beforePrefill).seconds)
        if known == nil, isWorthKeeping(frames: source.times.count, fused: frames.count) { derived?.save(prefix, key) }
        return prefix
    }

    /// Before anything is computed: whether keys and values will fit the memory.
    private func checkMemory(_ source: Source, _ group: PromptGroup, fused: Int, rows: Int) throws {
        let (language, config) = (model.language, model.language.config)
        let perFrame = PreFusionCache(model, headRows: group.headRows, capacity: 0).bytesPerFrame
        let bytes = 2 * config.layerCount * language.keyBytes * rows + fused * perFrame
        try loaded.checkMemory(
            "a question about \(counted(source.times.count, "frame")) (ask about less with --from and --to)",
            needed: Int64(bytes))
    }

    /// Fuses what is behind the recording's place with frames whose beginnings were fused before.
    ///
    /// - Parameters:
    ///   - population: how many frames the fused ones are to stand for.
    ///   - enough: a text whose end has no larger relative standard error after a part of the sample is not fused with the rest.
    /// - Throws: `LongtakeError` `interrupted` between batches.
    func follow(
        _ group: PromptGroup, _ fused: PreFusionCache, times: [Int], of population: Int, enough: Double,
        progress: (Double) -> Void
    ) throws {
        // A frame that stands for others like it would count in a part as more of the sample than was looked at.
        let mayEnd = enough > 0 && fused.count < population && times.allSatisfy { $0 == 1 }
        let steps = mayEnd ? FusionPlan.Steps(sampleOf: fused.count) : FusionPlan.Steps(whole: fused.count)
        // Each text goes its own way, so that its answer is the same whatever is asked with it.
        var parts = group.texts.indices.map { (place: $0, frames: 0..<(steps.sizes.first ?? 0)) }
        while let part = parts.first?.frames {
            let places = parts.filter { $0.frames == part }.map(\.place)
            parts.removeAll { $0.frames == part }
            try follow(group, fused, frames: steps.order[part].sorted(), places: places, times: times) {
                progress((Double(part.lowerBound) + $0 * Double(part.count)) / Double(fused.count))
            }
            for place in places where part.upperBound < fused.count {
                let error = group.texts[place].relativeStandardError(population: population, from: group.headRows)
                if let error, error <= enough { continue }
                let next = steps.size(after: part.upperBound, error: error ?? .infinity, enough: enough)
                parts.append((place, part.upperBound..<next))
            }
        }
        progress(1)
    }

    private func follow(
        _ group: PromptGroup, _ fused: PreFusionCache, frames: [Int], places: [Int], times: [Int],
        progress: (Double) -> Void
    ) throws {
        // Only the text's few rows are computed: with more frames at a time the weights are read less often. The frames'
        // keys and values are copied for it: 128 MiB of them at a time, in batches as equal as can be.
        let most = max(1, (128 << 20) / max(1, fused.bytesPerLayer))
        let batches = max(1, (frames.count + most - 1) / most)
        let batch = max(1, (frames.count + batches - 1) / batches)
        for first in stride(from: 0, to: frames.count, by: batch) {
            try cancellation.check()
            let next = min(first + batch, frames.count)
            group.follow(fused, frames: Array(frames[first..<next]), places: places, times: times, model: model)
            progress(Double(next) / Double(frames.count))
        }
    }

    /// Fuses the prompts with the given frames of the source, in the order of time; where `keep` is given, only what is before
    /// the recording's place.
    ///
    /// - Returns: for each frame that was computed how many it stands for: one like the frame before it, as in still scenes, is
    ///   counted, not computed again.
    func fuse(
        _ group: PromptGroup, _ source: Source, frames: [Int], keep: PreFusionCache?, progress: (Double) throws -> Void
    ) throws -> [Int] {
        let batch = FrameEncoder.batchSize(rows: model.patchRows)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        // One slot more, for the frame that may be like the last one.
        let buffer = Buffer<Float>(count: (batch + 1) * rows * width)
        let slots = MatrixView(buffer.pointer, rows: (batch + 1) * rows, columns: width)
        func slot(_ place: Int) -> MatrixView { slots.rows(place * rows..<(place + 1) * rows) }
        let bytes = rows * width * MemoryLayout<Float>.size
        var all: [Int] = []
        var times: [Int] = []
        func compute() {
            let patches = slots.rows(0..<times.count * rows)
            if let keep {
                group.addHead(patches, frames: times.count, times: times, keep: keep, model: model)
            } else {
                group.add(patches, frames: times.count, times: times, model: model)
            }
            all += times
        }
        for (done, frame) in frames.enumerated() {
            let next = slot(times.count)
            try source.patches(frame, next)
            if let last = times.indices.last, memcmp(slot(last).base, next.base, bytes) == 0 {
                times[last] += 1
                continue
            }
            if times.count == batch {
                compute()
                try progress(Double(done) / Double(frames.count))
                slot(0).base.copyMemory(from: next.base, byteCount: bytes)
                times = []
            }
            times.append(1)
        }
        if !times.isEmpty { compute() }
        try progress(1)
        return all
    }

    /// The language model's keys and values over the rows that all prompts begin with.
    private func prefill(
        _ group: PromptGroup, _ reader: TokenReader, room: Int, progress: (Double) throws -> Void
    ) throws -> KVCache {
        let fused = FusedPrompt(text: group.texts[0], visionTokens: reader.count, readTokens: reader.read)
        // A prompt without a place for the recording shares nothing; the first word needs a row to be computed from.
        let count = fused.tail == 0 ? 0 : fused.head + fused.visionTokens
        let cache = model.language.makeCache(capacity: max(count, fused.count) + room)
        if count > 0 {
            _ = try model.language.append(
                count: count, to: cache, progress: { try progress(Double($0) / Double(count)) }
            ) {
                fused.write($0, into: $1)
            }
        }
        if let failure = reader.failure { throw failure }
        return cache
    }
}
