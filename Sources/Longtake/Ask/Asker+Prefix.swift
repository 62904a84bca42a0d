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
        let key = PrefixCacheStore.Key(fusing, compute: loaded.compute)
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

    /// Bytes of the prefix cache over this many frames; 0 if it would not be kept.
    func prefixBytes(frames: Int) -> Int64 {
        let fused = min(frames, PrefixCache.maxFusedFrames)
        guard prefixCaches != nil, isWorthKeeping(frames: frames, fused: fused),
            let asked = try? prompted(Question("?")),
            let group = try? PromptGroup([asked.prompt.ids], model: model)
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
        let key = PrefixCacheStore.Key(fusing, compute: loaded.compute)
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
        let cache =
            try known?.cache
            ?? prefill(fusing, freeRows: freeRows) {
                try cancellation.check()
                progress(fuseShare + 0.02 + (0.98 - fuseShare) * $0)
            }
        let prefix = PrefixCache(
            head: group.texts[0].prefixSums(rows: group.headRows), fused: fused, repeats: repeats, cache: cache,
            fuseSeconds: fuseSeconds, prefillSeconds: (clock.now - beforePrefill).seconds)
        if known == nil, isWorthKeeping(frames: source.times.count, fused: frames.count) {
            prefixCaches?.save(prefix, key)
        }
        return prefix
    }

    /// Checks, before anything is computed, that the keys and values fit in memory.
    private func checkMemory(_ fusing: FusionContext, freeRows: Int) throws {
        let (language, config) = (model.language, model.language.config)
        let perFrame = PreFusionCache(model, prefixRows: fusing.group.headRows, capacity: 0).bytesPerFrame
        let rows = fusing.group.sharedIDs + fusing.tokens.count + freeRows
        let fused = min(fusing.frames.count, PrefixCache.maxFusedFrames)
        let bytes = 2 * config.layerCount * language.keyBytes * rows + fused * perFrame
        try loaded.checkMemory(
            "a question about \(counted(fusing.source.times.count, "frame")) (a shorter range needs less)",
            needed: Int64(bytes))
    }

    /// The language model's keys and values over the fused head and the vision tokens.
    private func prefill(
        _ fusing: FusionContext, freeRows: Int, progress: (Double) throws -> Void
    ) throws -> KVCache {
        let fused = fusing.fusedPrompt(0)
        // Without an image placeholder nothing is shared: the last row is needed to compute the first token.
        let count = fused.suffixRows == 0 ? 0 : fused.prefixRows + fused.visionTokens
        let cache = model.language.makeCache(capacity: max(count, fused.count) + freeRows)
        if count > 0 {
            _ = try model.language.append(
                count: count, to: cache, progress: { try progress(Double($0) / Double(count)) }
            ) {
                fused.write($0, into: $1)
            }
        }
        if let failure = fusing.tokens.failure { throw failure }
        return cache
    }
}
