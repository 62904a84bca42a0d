internal import Checkpoints
package import Models
package import Tensors

/// Prompts about the same frames: their common head is fused once per frame, their tails after it.
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
    private let tails: [MatrixView]
    private var passing: PreFusionCache?

    /// Splits the prompts at the image placeholder.
    ///
    /// - Throws: `ModelError` for two placeholders, an ID outside the vocabulary, or several prompts that differ before
    ///   the placeholder or have none.
    package init(_ prompts: [[Int32]], model: LlavaMini) throws {
        texts = try prompts.map { try TextFusion(ids: $0, model: model) }
        guard let first = prompts.first, let place = first.firstIndex(of: TextFusion.imageTokenIndex) else {
            guard prompts.count == 1 else {
                throw ModelError(code: .badPrompt, message: "several prompts without a place for the recording")
            }
            sharedIDs = prompts[0].count
            head = texts[0].embeddings
            tails = []
            return
        }
        guard prompts.allSatisfy({ $0.starts(with: first[...place]) }) else {
            throw ModelError(code: .badPrompt, message: "prompts that differ before the recording's place")
        }
        sharedIDs = place + 1
        let rows = texts[0].rowCount(before: place)
        head = texts[0].embeddings.rows(0..<rows)
        tails = texts.map { $0.embeddings.rows(rows..<$0.embeddings.rows) }
    }

    /// Fuses every prompt with frames, whose patches are [frames · R, D].
    ///
    /// - Parameter times: how many consecutive equal frames each of them stands for; nil: one.
    package func add(_ patches: MatrixView, frames: Int, times: [Int]? = nil, model: LlavaMini) {
        let known = memory(frames, model)
        addHead(patches, frames: frames, times: times, keep: known, model: model)
        follow(known, frames: Array(0..<frames), times: times ?? Array(repeating: 1, count: frames), model: model)
    }

    /// Fuses only the head before the image placeholder; `keep` gets the keys and values the tails need.
    func addHead(_ patches: MatrixView, frames: Int, times: [Int]?, keep: PreFusionCache, model: LlavaMini) {
        let tokens = model.fusion.tokensPerFrame
        let fused = model.fuse(patches: patches, frames: frames, text: head.rows > 0 ? head : nil, cache: keep)
        for frame in 0..<frames {
            let start = frame * (tokens + head.rows) + tokens
            for text in texts { text.add(fused.rows(start..<start + head.rows), times: times?[frame] ?? 1) }
        }
    }

    /// Fuses the tails after the image placeholder with frames whose head was fused before.
    ///
    /// - Parameters:
    ///   - places: indices of the prompts to fuse; nil: all.
    ///   - times: how many consecutive equal frames each cached frame stands for.
    func follow(_ known: PreFusionCache, frames: [Int], places: [Int]? = nil, times: [Int], model: LlavaMini) {
        let places = places ?? Array(tails.indices)
        let fused = model.extend(places.map { tails[$0] }, after: known, frames: frames)
        for (place, rows) in zip(places, fused) {
            let count = tails[place].rows
            for (slot, frame) in frames.enumerated() {
                texts[place].add(rows.rows(slot * count..<(slot + 1) * count), at: head.rows, times: times[frame])
            }
        }
    }

    /// Restores the head's sums; false if `head` belongs to a prompt of another length.
    func restore(_ head: TextFusion.PrefixSums) -> Bool {
        head.squares.count == headRows && texts.allSatisfy { $0.restore(head) }
    }

    private func memory(_ frames: Int, _ model: LlavaMini) -> PreFusionCache {
        if let passing, passing.capacity >= frames {
            passing.removeAll()
            return passing
        }
        let made = PreFusionCache(model, prefixRows: headRows, capacity: frames)
        passing = made
        return made
    }
}

/// Reads a source's vision tokens as input rows for the language model.
final class TokenReader {
    private let source: Asker.Source
    private let perFrame: Int
    private let width: Int
    private let buffer: Buffer<Float>
    /// The first read error; rows read since then are invalid.
    private(set) var failure: (any Error)?

    init(_ source: Asker.Source, model: LlavaMini) {
        self.source = source
        perFrame = model.fusion.tokensPerFrame
        width = model.hiddenSize
        buffer = Buffer(count: perFrame * width)
    }

    /// Vision tokens in the range: frames · C2.
    var count: Int { source.times.count * perFrame }

    /// Writes the vision tokens in `range` into `block` [rows, H] f32.
    func read(_ range: Range<Int>, into block: MatrixView) {
        let rows = MatrixView(buffer.pointer, rows: perFrame, columns: width)
        var frame = -1
        for index in range where failure == nil {
            if index / perFrame != frame {
                frame = index / perFrame
                do {
                    try source.tokens(frame, rows)
                } catch {
                    failure = error
                }
            }
            block.row(index - range.lowerBound).copyMemory(from: rows.row(index % perFrame), byteCount: width * 4)
        }
    }
}
