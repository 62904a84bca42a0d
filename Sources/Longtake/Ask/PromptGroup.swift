package import Models
package import Tensors

/// Prompts about the same frames: what they begin with is fused once per frame, their ends behind it.
package struct PromptGroup {
    package let texts: [TextFusion]
    /// Ids that all prompts begin with, the recording's place among them; all ids of a single prompt.
    package let sharedIDs: Int
    private let head: Block
    private let tails: [Block]

    /// - Throws: `ModelError` for two placeholders, an id outside the vocabulary, or several prompts that differ before
    ///   the recording's place.
    package init(_ prompts: [[Int32]], model: LlavaMini) throws {
        texts = try prompts.map { try TextFusion(ids: $0, model: model) }
        guard let first = prompts.first, prompts.count > 1 else {
            sharedIDs = prompts.first?.count ?? 0
            head = texts[0].embeddings
            tails = []
            return
        }
        var shared = prompts.map(\.count).min() ?? 0
        for prompt in prompts {
            // At least one id is each prompt's own: something must be left to compute the first word from.
            shared = min(shared - (shared == prompt.count ? 1 : 0), zip(first, prompt).prefix { $0 == $1 }.count)
        }
        guard let place = texts[0].placeholderIndex, place < shared else {
            throw ModelError(code: .badPrompt, message: "prompts that differ before the recording's place")
        }
        sharedIDs = shared
        let rows = texts[0].visibleRows(before: shared)
        head = texts[0].embeddings.rows(0..<rows)
        tails = texts.map { $0.embeddings.rows(rows..<$0.embeddings.rows) }
    }

    /// Visible rows of the longest prompt.
    var longestText: Int { texts.map(\.embeddings.rows).max() ?? 0 }

    /// Fuses every prompt with frames, whose patches are [frames · R, D].
    ///
    /// - Parameter times: how many frames in a row each of them stands for; nil: one.
    package func add(_ patches: Block, frames: Int, times: [Int]? = nil, model: LlavaMini) {
        let tokens = model.fusion.tokensPerFrame
        let fused = model.fuse(patches: patches, frames: frames, text: head, tails: tails)
        for frame in 0..<frames {
            let first = frame * (tokens + head.rows) + tokens
            let rows = fused.rows.rows(first..<first + head.rows)
            for (place, text) in texts.enumerated() {
                guard place < tails.count else {
                    text.add(rows, times: times?[frame] ?? 1)
                    continue
                }
                let count = tails[place].rows
                text.add(
                    head: rows, tail: fused.tails[place].rows(frame * count..<(frame + 1) * count),
                    times: times?[frame] ?? 1)
            }
        }
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
    func read(_ range: Range<Int>, into block: Block) {
        let rows = Block(buffer.pointer, rows: perFrame, columns: width)
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
