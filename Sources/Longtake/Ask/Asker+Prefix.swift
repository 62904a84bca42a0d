internal import Checkpoints
internal import Glibc
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// The prefix cache over a range: the prompt up to the image placeholder, fused, and the KV cache up to the question.
///
/// The KV cache covers the fused head and the vision tokens. Exact: both come before the question, and all attention is
/// causal.
struct PrefixState {
    /// Fused sums of the prompt's rows before the image placeholder.
    let head: TextFusion.Head
    /// Pre-fusion keys and values of the computed fusion frames; nil if there are more than `mostFused`.
    let fused: PreFusionCache?
    /// Per computed frame, how many consecutive equal fusion frames it stands for.
    let times: [Int]
    /// Keys and values of the fused head and the vision tokens; a question appends to it, then truncates it again.
    let cache: KVCache
    /// True if read from disk or reused from an earlier turn.
    var wasKept = false
    var fuseSeconds = 0.0
    var prefillSeconds = 0.0
}

extension Asker {
    /// Most frames whose pre-fusion keys and values are kept: 0.6 GB at full size.
    static let mostFused = 64

    /// Computes and saves the prefix cache over a whole index, unless it exists or saves too little.
    ///
    /// - Parameter progress: gets the fraction done, 0 to 1.
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

    /// Whether a prefix cache saves each question at least `leastSaving` operations.
    func isWorthKeeping(frames: Int, fused: Int) -> Bool {
        guard leastSaving > 0 else { return true }
        let each = (loaded.cost.frame?.promptHead ?? 0) + (loaded.cost.questionWorkPerFusionFrame ?? 0)
        return Double(fused) * each + Double(frames) * (loaded.cost.prefixWorkPerFrame ?? 0) >= leastSaving
    }

    /// Bytes of the prefix cache over this many frames; 0 if it would not be kept.
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

    /// Loads or computes the group's prefix cache; afterwards the group's texts are fused with the frames.
    ///
    /// - Parameters:
    ///   - enough: the relative standard error at which fusing a sample stops.
    ///   - room: rows to reserve after the vision tokens, for questions and answers.
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
        // At full size, fusing a frame takes as long as prefilling about 50 tokens (measured).
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

    /// Checks, before anything is computed, that the keys and values fit in memory.
    private func checkMemory(_ source: Source, _ group: PromptGroup, fused: Int, rows: Int) throws {
        let (language, config) = (model.language, model.language.config)
        let perFrame = PreFusionCache(model, headRows: group.headRows, capacity: 0).bytesPerFrame
        let bytes = 2 * config.layerCount * language.keyBytes * rows + fused * perFrame
        try loaded.checkMemory(
            "a question about \(counted(source.times.count, "frame")) (a shorter range needs less)",
            needed: Int64(bytes))
    }

    /// Fuses the text after the image placeholder with frames whose prompt head was fused before.
    ///
    /// - Parameters:
    ///   - population: frames that the fused ones are a sample of.
    ///   - enough: a text's fusion stops after a part of the sample if its relative standard error is at most this.
    /// - Throws: `LongtakeError` `interrupted` between batches.
    func follow(
        _ group: PromptGroup, _ fused: PreFusionCache, times: [Int], of population: Int, enough: Double,
        progress: (Double) -> Void
    ) throws {
        // A partial sample would give a frame that stands for several equal ones more weight than was sampled.
        let mayEnd = enough > 0 && fused.count < population && times.allSatisfy { $0 == 1 }
        let steps = mayEnd ? FusionPlan.Steps(sampleOf: fused.count) : FusionPlan.Steps(whole: fused.count)
        // Each text stops on its own, so that its answer does not depend on the questions asked with it.
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
        // Only the text's few rows are computed: more frames per batch read the weights less often. A batch copies the
        // frames' keys and values, so it is limited to 128 MiB; batches are as equal as possible.
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

    /// Fuses the prompts with frames of the source, in time order.
    ///
    /// If `keep` is given, only the head before the image placeholder is fused.
    /// - Returns: for each computed frame, how many consecutive frames it stands for: a frame with the same patches as
    ///   the one before it, as in still scenes, is counted and not computed again.
    func fuse(
        _ group: PromptGroup, _ source: Source, frames: [Int], keep: PreFusionCache?, progress: (Double) throws -> Void
    ) throws -> [Int] {
        let batch = FrameEncoder.batchSize(rows: model.patchRows)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        // One extra slot, for the frame that is compared with the last one of a full batch.
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

    /// The language model's keys and values over the fused head and the vision tokens.
    private func prefill(
        _ group: PromptGroup, _ reader: TokenReader, room: Int, progress: (Double) throws -> Void
    ) throws -> KVCache {
        let fused = FusedPrompt(text: group.texts[0], visionTokens: reader.count, readTokens: reader.read)
        // Without an image placeholder nothing is shared: the last row is needed to compute the first token.
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
