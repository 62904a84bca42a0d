internal import Checkpoints
package import Models
package import Tensors

/// Prompts about the same frames: what they begin with is fused once per frame, their ends behind it.
///
/// They are divided at the recording's place. What is before it is the same for all questions to a model, so what was computed of
/// it can be kept; the division is there for a single prompt too, so that its answer does not depend on what was kept.
package final class PromptGroup {
    package let texts: [TextFusion]
    /// Ids that all prompts begin with, the recording's place the last of them; all ids of a prompt without one.
    package let sharedIDs: Int
    /// Visible rows before the recording's place.
    package var headRows: Int { head.rows }
    private let head: MatrixView
    private let tails: [MatrixView]
    private var passing: PreFusionCache?

    /// - Throws: `ModelError` for two placeholders, an id outside the vocabulary, or several prompts that differ before
    ///   the recording's place.
    package init(_ prompts: [[Int32]], model: LlavaMini) throws {
        texts = try prompts.map { try TextFusion(ids: $0, model: model) }
        guard let first = prompts.first, let place = first.firstIndex(of: TextFusion.placeholder) else {
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
        let rows = texts[0].visibleRows(before: place)
        head = texts[0].embeddings.rows(0..<rows)
        tails = texts.map { $0.embeddings.rows(rows..<$0.embeddings.rows) }
    }

    /// Fuses every prompt with frames, whose patches are [frames · R, D].
    ///
    /// - Parameter times: how many frames in a row each of them stands for; nil: one.
    package func add(_ patches: MatrixView, frames: Int, times: [Int]? = nil, model: LlavaMini) {
        let known = memory(frames, model)
        addHead(patches, frames: frames, times: times, keep: known, model: model)
        follow(known, frames: Array(0..<frames), times: times ?? Array(repeating: 1, count: frames), model: model)
    }

    /// Fuses what is before the recording's place alone; `keep` gets what the rest needs to go on behind these frames.
    func addHead(_ patches: MatrixView, frames: Int, times: [Int]?, keep: PreFusionCache, model: LlavaMini) {
        let tokens = model.fusion.tokensPerFrame
        let fused = model.fuse(patches: patches, frames: frames, text: head.rows > 0 ? head : nil, keep: keep)
        for frame in 0..<frames {
            let start = frame * (tokens + head.rows) + tokens
            for text in texts { text.add(fused.rows(start..<start + head.rows), times: times?[frame] ?? 1) }
        }
    }

    /// Fuses what is behind the recording's place with known frames.
    ///
    /// - Parameters:
    ///   - places: of the prompts that are fused; nil: all.
    ///   - times: how many frames in a row each known one stands for.
    func follow(_ known: PreFusionCache, frames: [Int], places: [Int]? = nil, times: [Int], model: LlavaMini) {
        let places = places ?? Array(tails.indices)
        let fused = model.follow(places.map { tails[$0] }, behind: known, frames: frames)
        for (place, rows) in zip(places, fused) {
            let count = tails[place].rows
            for (slot, frame) in frames.enumerated() {
                texts[place].add(rows.rows(slot * count..<(slot + 1) * count), at: head.rows, times: times[frame])
            }
        }
    }

    /// Puts what is before the recording's place where it was when `head` was taken; false where it is another prompt's.
    func restore(_ head: TextFusion.Head) -> Bool {
        head.squares.count == headRows && texts.allSatisfy { $0.restore(head) }
    }

    private func memory(_ frames: Int, _ model: LlavaMini) -> PreFusionCache {
        if let passing, passing.capacity >= frames {
            passing.removeAll()
            return passing
        }
        let made = PreFusionCache(model, headRows: headRows, capacity: frames)
        passing = made
        return made
    }
}

/// Reads a source's vision tokens for the language model.
final class TokenReader {
    private let source: Asker.Source
    private let perFrame: Int
    private let width: Int
    private let buffer: Buffer<Float>
    /// The first trouble there was; what was read since is worth nothing.
    private(set) var failure: (any Error)?

    init(_ source: Asker.Source, model: LlavaMini) {
        self.source = source
        perFrame = model.fusion.tokensPerFrame
        width = model.hiddenSize
        buffer = Buffer(count: perFrame * width)
    }

    /// Vision tokens in all: frames · C2.
    var count: Int { source.times.count * perFrame }

    /// Writes tokens into `block` [rows, H] f32.
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
