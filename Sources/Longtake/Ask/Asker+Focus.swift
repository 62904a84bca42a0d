internal import Checkpoints
internal import Models
internal import Store
internal import Tensors

extension Asker {
    /// Answers a question a second time, fused with the frames of highest attention in the first pass.
    ///
    /// The fused text before the image placeholder and the language model's keys and values over the frames are reused.
    /// Frames without patches are left out; if none has patches, the first answer stays, with a note.
    /// - Parameter limit: most frames to fuse.
    func refine(
        _ first: AnswerPass, of asked: PromptedQuestion, in fusing: FusionContext, _ prefix: PrefixCache, limit: Int,
        since start: ContinuousClock.Instant, onText: (String) -> Bool
    ) throws -> AnswerPasses {
        let clock = ContinuousClock()
        let before = clock.now
        let source = fusing.source
        let (frames, failure) = try readable(first.generation.attention.total, source, limit: limit)
        guard !frames.isEmpty else {
            let reason = failure ?? "no frame had attention"
            return AnswerPasses(first: first, notes: ["focus: no second pass, no patches could be read: \(reason)"])
        }
        let focused = try FusionContext([asked], source, frames: frames, model: model)
        _ = try fuse(focused, into: nil) { _ in try cancellation.check() }
        _ = focused.group.restore(prefix.head)
        let fusion = FusionOutcome(
            summary: FusionSummary(
                frames: frames.count, of: source.times.count,
                relativeStandardError: frames.count < source.times.count ? nil : 0),
            fuseSeconds: (clock.now - before).seconds)
        let second = try pass(0, in: focused, fusion, cache: prefix.cache, since: start, onText: onText)
        var changed: [FocusSummary.Change] = []
        if second.text != first.text { changed.append(.answer) }
        if second.evidence != first.evidence { changed.append(.evidence) }
        if second.found != first.found { changed.append(.found) }
        let summary = FocusSummary(
            frames: frames.map { source.frameNumbers[$0] }, answer: first.text,
            tokenIDs: first.generation.tokenIDs, found: first.found, evidence: first.evidence,
            certainty: first.generation.certainty, fusion: first.fusion.summary, changed: changed)
        return AnswerPasses(first: first, second: second, focus: summary)
    }

    /// The frames of highest attention whose patches can be read, ascending, and the first read error.
    ///
    /// - Throws: `StoreError` `not_found` if the index was removed meanwhile: then the question fails.
    private func readable(_ attention: [Double], _ source: FrameSource, limit: Int) throws -> ([Int], String?) {
        let buffer = Buffer<Float>(count: model.patchRows * model.vision.hiddenSize)
        let patches = MatrixView(buffer.pointer, rows: model.patchRows, columns: model.vision.hiddenSize)
        var chosen: [Int] = []
        var failure: String?
        let order = attention.indices.sorted {
            attention[$0] != attention[$1] ? attention[$0] > attention[$1] : $0 < $1
        }
        for frame in order {
            guard chosen.count < limit, attention[frame] > 0 else { break }
            do {
                try source.patches(frame, patches)
                chosen.append(frame)
            } catch let error as StoreError where error.code == .notFound {
                throw error
            } catch {
                failure = failure ?? "\(error)"
            }
        }
        return (chosen.sorted(), failure)
    }
}
