internal import Checkpoints
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

extension Asker {
    /// Computes and saves the prefix cache over a whole index, unless it exists or saves too little.
    ///
    /// - Parameter progress: gets the fraction done, 0 to 1.
    /// - Throws: as `answer`.
    func savePrefixCache(of reader: IndexReader, progress: (Double) -> Void) throws {
        guard let prefixCaches, !reader.entries.isEmpty else { return }
        let source = try frames(of: reader)
        // Any question will do: the prefix cache ends before it.
        let asked = try prompted(Question("?"))
        try checkContext(asked.prompt, frames: source.times.count, maxTokens: 1)
        let fusing = try FusionContext(
            [asked], source, frames: source.fusionFrames(.automatic, limit: FusionPlan.sampleSize), targetError: 1,
            model: model)
        let key = PrefixCacheStore.Key(fusing, model: model)
        guard isWorthKeeping(frames: source.times.count, fused: fusing.frames.count), !prefixCaches.has(key) else {
            return
        }
        _ = try prefixCache(for: fusing, freeRows: asked.prompt.ids.count, progress: progress)
    }

    /// Whether a prefix cache saves each question at least `minimumSaving` operations.
    private func isWorthKeeping(frames: Int, fused: Int) -> Bool {
        guard minimumSaving > 0 else { return true }
        let each = (loaded.cost.frame?.promptHead ?? 0) + (loaded.cost.questionWorkPerFusionFrame ?? 0)
        return Double(fused) * each + Double(frames) * (loaded.cost.prefixWorkPerFrame ?? 0) >= minimumSaving
    }

    /// Bytes of the prefix cache over this many frames; 0 if it would not be kept, or if they exceed the context.
    func prefixBytes(frames: Int) -> Int64 {
        let fused = min(frames, PrefixCache.maxFusedFrames)
        guard prefixCaches != nil, isWorthKeeping(frames: frames, fused: fused),
            let asked = try? prompted(Question("?")),
            let group = try? PromptGroup([asked.prompt.ids], model: model),
            (try? checkContext(asked.prompt, frames: frames, maxTokens: 1)) != nil
        else { return 0 }
        let each = PreFusionCache(model, prefixRows: group.headRows, capacity: 1).bytesPerFrame
        let token = 2 * model.language.config.layerCount * model.language.keyBytes
        let rows = frames * model.fusion.tokensPerFrame + group.headRows
        let sums = group.headRows * model.language.config.hiddenSize * MemoryLayout<Float>.size
        return Int64(rows) * Int64(token) + Int64(fused) * Int64(each) + Int64(sums)
    }

    /// Loads or computes the prefix cache; afterwards the context's texts are fused with the frames.
    ///
    /// - Parameter freeRows: rows to reserve after the vision tokens, for questions and answers.
    func prefixCache(
        for fusing: FusionContext, freeRows: Int, progress: (Double) -> Void
    ) throws -> PrefixCache {
        let clock = ContinuousClock()
        let start = clock.now
        let (group, frames, source) = (fusing.group, fusing.frames, fusing.source)
        try checkMemory(fusing, freeRows: freeRows)
        let key = PrefixCacheStore.Key(fusing, model: model)
        let known = prefixCaches?.load(key, model: model, headRows: group.headRows, freeRows: freeRows)
        if var known, let fused = known.fused, group.restore(known.head) {
            try fuseSuffixes(fusing, after: fused, repeats: known.repeats, progress: progress)
            known.wasKept = true
            known.fuseSeconds = (clock.now - start).seconds
            progress(1)
            return known
        }
        let fused =
            frames.count <= PrefixCache.maxFusedFrames
            ? PreFusionCache(model, prefixRows: group.headRows, capacity: frames.count) : nil
        // At full size, fusing a frame takes as long as prefilling about 50 tokens (measured).
        let fuseShare = 0.98 * Double(frames.count) / (Double(frames.count) + 0.02 * Double(fusing.tokens.count))
        let repeats = try fuse(fusing, into: fused) {
            try cancellation.check()
            progress(fuseShare * $0)
        }
        if let fused {
            try fuseSuffixes(fusing, after: fused, repeats: repeats) { progress(fuseShare + 0.02 * $0) }
        }
        let fuseSeconds = (clock.now - start).seconds
        let beforePrefill = clock.now
        let isKept = isWorthKeeping(frames: source.times.count, fused: frames.count)
        let cache =
            try known?.cache
            ?? prefill(fusing, freeRows: freeRows, partialKey: isKept ? key : nil) {
                try cancellation.check()
                progress(fuseShare + 0.02 + (0.98 - fuseShare) * $0)
            }
        let prefix = PrefixCache(
            head: group.texts[0].prefixSums(rows: group.headRows), fused: fused, repeats: repeats, cache: cache,
            fuseSeconds: fuseSeconds, prefillSeconds: (clock.now - beforePrefill).seconds)
        if known == nil, isKept {
            prefixCaches?.save(prefix, key)
            prefixCaches?.removePartial(key)
        }
        return prefix
    }

    /// Checks, before anything is computed, that what a question needs fits in memory.
    private func checkMemory(_ fusing: FusionContext, freeRows: Int) throws {
        let fused = min(fusing.frames.count, PrefixCache.maxFusedFrames)
        let bytes = memory(
            rows: fusing.group.sharedIDs + fusing.tokens.count + freeRows, fused: fused,
            headRows: fusing.group.headRows, textRows: freeRows)
        try loaded.checkMemory(
            "a question about \(counted(fusing.source.times.count, "frame")) (a shorter range needs less)",
            needed: bytes)
    }

    /// Bytes that a question about this many frames needs in addition to the weights; nil if it exceeds the context.
    func questionMemory(frames: Int) -> Int64? {
        guard let asked = try? prompted(Question("?")),
            let group = try? PromptGroup([asked.prompt.ids], model: model),
            (try? checkContext(asked.prompt, frames: frames, maxTokens: Question.defaultMaxTokens)) != nil
        else { return nil }
        let text = asked.prompt.ids.count + Question.defaultMaxTokens
        return memory(
            rows: group.sharedIDs + frames * model.fusion.tokensPerFrame + text,
            fused: min(frames, PrefixCache.maxFusedFrames), headRows: group.headRows, textRows: text)
    }

    /// Bytes of the language model's keys and values of `rows` positions, of the pre-fusion keys and values of `fused`
    /// frames, and of the activations. Attention by tiles needs no memory that grows with the number of positions.
    private func memory(rows: Int, fused: Int, headRows: Int, textRows: Int) -> Int64 {
        let (language, config) = (model.language, model.language.config)
        let frame = PreFusionCache(model, prefixRows: headRows, capacity: 0)
        let size = model.compute.precision.size
        let frames = min(fused, FrameEncoder.batchSize(rows: model.patchRows))
        // The frames fused at once, or a slice of the prompt; a row of each has the widths of DecoderLayer's activations.
        let active = max(
            LanguageModel.sliceLength, frames * (model.patchRows + model.fusion.tokensPerFrame + headRows),
            fused * min(textRows, LanguageModel.sliceLength))
        let row =
            2 * config.hiddenSize * 4
            + size * (config.hiddenSize + 2 * config.headCount * config.headSize + 2 * config.intermediateSize)
        // A layer's keys and values of the fused frames with the text after them, at most 128 MiB at a time.
        let extended = min(128 << 20, fused * frame.bytesPerLayer)
        return Int64(2 * config.layerCount * language.keyBytes) * Int64(rows) + Int64(fused * frame.bytesPerFrame)
            + Int64(active) * Int64(row) + Int64(extended) + Int64(4 * config.vocabularySize)
    }

    /// The language model's keys and values over the fused head and the vision tokens.
    ///
    /// - Parameter partialKey: under which the positions computed so far are saved at intervals and if `progress` throws,
    ///   and from which the work goes on; nil: not saved.
    private func prefill(
        _ fusing: FusionContext, freeRows: Int, partialKey: PrefixCacheStore.Key?, progress: (Double) throws -> Void
    ) throws -> KVCache {
        let fused = fusing.fusedPrompt(0)
        // Without an image placeholder nothing is shared: the last row is needed to compute the first token.
        let count = fused.suffixRows == 0 ? 0 : fused.prefixRows + fused.visionTokens
        let capacity = max(count, fused.count) + freeRows
        let store = partialKey == nil ? nil : prefixCaches
        let started = partialKey.flatMap { store?.loadPartial($0, model: model, count: count, capacity: capacity) }
        let cache = started ?? model.language.makeCache(capacity: capacity)
        let first = cache.count
        var partial = PartialPrefix(interval: partialInterval)
        if count > 0 {
            do {
                _ = try model.language.append(
                    count: count - first, to: cache,
                    progress: {
                        try progress(Double(first + $0) / Double(count))
                        if let partialKey, first + $0 < count, partial.isDue() { store?.savePartial(cache, partialKey) }
                    }
                ) {
                    fused.write(first + $0.lowerBound..<first + $0.upperBound, into: $1)
                }
            } catch {
                let bytes = cache.parts.reduce(0) { $0 + $1.count }
                if let partialKey, fusing.tokens.failure == nil, cache.count > first, cache.count < count,
                    partial.isWorthSaving(bytes: bytes)
                {
                    store?.savePartial(cache, partialKey)
                }
                throw error
            }
        }
        if let failure = fusing.tokens.failure { throw failure }
        return cache
    }
}
