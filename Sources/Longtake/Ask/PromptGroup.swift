internal import Checkpoints
package import Models
package import Tensors

/// Prompts about the same frames: their common head is fused once per frame, their suffixes after it.
///
/// They are split at the image placeholder. The head is the same for all questions to a model, so its results can be
/// cached. A single prompt is split too, so that its answer does not depend on what was cached.
package final class PromptGroup {
    /// Each prompt's text with the frames fused so far.
    package let texts: [TextFusion]
    /// IDs common to all prompts, up to and including the image placeholder; all IDs of a prompt without one.
    package let sharedIDs: Int
    /// Prompt rows before the image placeholder that take part in pre-fusion.
    package var headRows: Int { head.rows }
    private let head: MatrixView
    private let suffixes: [MatrixView]
    /// Reused by `add` for each batch of frames.
    private var scratch: PreFusionCache?

    /// Splits the prompts at the image placeholder.
    ///
    /// - Throws: `ModelError` for two placeholders, an ID outside the vocabulary, or several prompts that differ before
    ///   the placeholder or have none.
    package init(_ prompts: [[Int32]], model: LlavaMini) throws {
        texts = try prompts.map { try TextFusion(ids: $0, model: model) }
        guard let first = prompts.first, let imageIndex = first.firstIndex(of: TextFusion.imageTokenIndex) else {
            guard prompts.count == 1 else {
                throw ModelError(code: .badPrompt, message: "several prompts without an image placeholder")
            }
            sharedIDs = prompts[0].count
            head = texts[0].embeddings
            suffixes = []
            return
        }
        guard prompts.allSatisfy({ $0.starts(with: first[...imageIndex]) }) else {
            throw ModelError(code: .badPrompt, message: "the prompts differ before the image placeholder")
        }
        sharedIDs = imageIndex + 1
        let rows = texts[0].rowCount(before: imageIndex)
        head = texts[0].embeddings.rows(0..<rows)
        suffixes = texts.map { $0.embeddings.rows(rows..<$0.embeddings.rows) }
    }

    /// Fuses every prompt with frames, whose patches are [frames · R, D].
    ///
    /// - Parameter repeats: how many consecutive equal frames each of them stands for; nil: one.
    package func add(_ patches: MatrixView, frames: Int, repeats: [Int]? = nil, model: LlavaMini) {
        let cache = emptyScratch(frames, model)
        addHead(patches, frames: frames, repeats: repeats, cache: cache, model: model)
        addSuffixes(
            of: Array(suffixes.indices), after: cache, frames: Array(0..<frames),
            repeats: repeats ?? Array(repeating: 1, count: frames), model: model)
    }

    /// Fuses only the head before the image placeholder; `cache` gets the keys and values that the suffixes need.
    func addHead(_ patches: MatrixView, frames: Int, repeats: [Int]?, cache: PreFusionCache, model: LlavaMini) {
        let tokens = model.fusion.tokensPerFrame
        let fused = model.fuse(patches: patches, frames: frames, text: head.rows > 0 ? head : nil, cache: cache)
        for frame in 0..<frames {
            let start = frame * (tokens + head.rows) + tokens
            for text in texts { text.add(fused.rows(start..<start + head.rows), times: repeats?[frame] ?? 1) }
        }
    }

    /// Fuses suffixes after the image placeholder with frames whose head was fused before.
    ///
    /// - Parameters:
    ///   - prompts: indices of the prompts to fuse; empty if the prompt has no image placeholder.
    ///   - frames: indices of frames in the cache.
    ///   - repeats: per frame of the cache, how many consecutive equal frames it stands for.
    func addSuffixes(
        of prompts: [Int], after cache: PreFusionCache, frames: [Int], repeats: [Int], model: LlavaMini
    ) {
        let fused = model.extend(prompts.map { suffixes[$0] }, after: cache, frames: frames)
        for (prompt, rows) in zip(prompts, fused) {
            let count = suffixes[prompt].rows
            for (slot, frame) in frames.enumerated() {
                texts[prompt].add(rows.rows(slot * count..<(slot + 1) * count), at: head.rows, times: repeats[frame])
            }
        }
    }

    /// Restores the head's sums; false if `head` belongs to a prompt of another length.
    func restore(_ head: TextFusion.PrefixSums) -> Bool {
        head.squares.count == headRows && texts.allSatisfy { $0.restore(head) }
    }

    private func emptyScratch(_ frames: Int, _ model: LlavaMini) -> PreFusionCache {
        if let scratch, scratch.capacity >= frames {
            scratch.removeAll()
            return scratch
        }
        let cache = PreFusionCache(model, prefixRows: headRows, capacity: frames)
        scratch = cache
        return cache
    }
}
