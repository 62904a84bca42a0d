internal import Checkpoints
internal import Models
internal import Store
internal import Tensors

/// A second pass over a question, fused with selected frames.
struct SecondPass {
    let first: AnswerPass
    /// The question, as the only one.
    let fusing: FusionContext
    let fusion: FusionOutcome

    /// Both passes, and what the second one changed.
    func passes(_ second: AnswerPass) -> AnswerPasses {
        var changed: [FocusSummary.Change] = []
        if second.text != first.text { changed.append(.answer) }
        if second.evidence != first.evidence { changed.append(.evidence) }
        if second.found != first.found { changed.append(.found) }
        let summary = FocusSummary(
            frames: fusing.frames.map { fusing.source.frameNumbers[$0] }, answer: first.text,
            tokenIDs: first.generation.tokenIDs, found: first.found, evidence: first.evidence,
            certainty: first.generation.certainty, fusion: first.fusion.summary, changed: changed)
        return AnswerPasses(first: first, second: second, focus: summary)
    }
}

extension Asker {
    /// Prepares the second pass over a question: fuses it with the frames of highest attention in the first one.
    ///
    /// The fused text before the image placeholder and the language model's keys and values over the frames are reused.
    /// Frames without patches are left out; if none has patches, the first answer stays, with a note.
    /// - Returns: nil if there is no second pass; then `note` may say why.
    func secondPass(after first: AnswerPass, of request: AnswerRequest) throws -> (pass: SecondPass?, note: String?) {
        guard model.fusion.fusesText, let limit = request.focusLimit,
            !request.question.focus.isSatisfied(certainty: first.generation.certainty)
        else { return (nil, nil) }
        let clock = ContinuousClock()
        let before = clock.now
        let source = request.fusing.source
        let (frames, failure) = try readable(first.generation.attention.total, source, limit: limit)
        guard !frames.isEmpty else {
            let reason = failure ?? "no frame had attention"
            return (nil, "focus: no second pass, no patches could be read: \(reason)")
        }
        let asked = request.fusing.questions[request.index]
        let focused = try FusionContext([asked], source, frames: frames, model: model)
        _ = try fuse(focused, into: nil) { _ in try cancellation.check() }
        _ = focused.group.restore(request.prefix.head)
        let summary = FusionSummary(
            frames: frames.count, of: source.times.count,
            relativeStandardError: frames.count < source.times.count ? nil : 0)
        let fusion = FusionOutcome(summary: summary, fuseSeconds: (clock.now - before).seconds)
        return (SecondPass(first: first, fusing: focused, fusion: fusion), nil)
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
