public import Tensors

/// The prompt's text on its way through pre-fusion: which rows take part, and their mean over the frames.
///
/// A row whose id is 0 or the placeholder is padding to the reference: no frame sees it, it keeps its raw embedding, and
/// it counts no position, which is the same as leaving it out (spec sections 6 and 8).
public final class TextFusion {
    /// The id that stands where the vision tokens go.
    public static let placeholder: Int32 = -200

    public let ids: [Int32]
    private let visible: [Int]
    private let width: Int
    private let raw: Buffer<Float>  // [A, H]
    private let sum: Buffer<Float>  // [A, H]
    /// Frames added so far.
    public private(set) var frameCount = 0
    private let language: LanguageModel
    private let compute: Compute

    /// - Throws: `ModelError` for two placeholders, or an id outside the vocabulary.
    public init(ids: [Int32], model: LlavaMini) throws {
        guard ids.filter({ $0 == Self.placeholder }).count <= 1 else {
            throw ModelError(code: .badPrompt, message: "a prompt with two places for the recording: one is possible")
        }
        for id in ids where id != Self.placeholder && !model.language.isInVocabulary(id) {
            throw ModelError(
                code: .badPrompt,
                message: "token id \(id) is outside the vocabulary of \(model.language.config.vocabularySize): the "
                    + "tokenizer belongs to another model")
        }
        self.ids = ids
        language = model.language
        compute = model.compute
        width = model.hiddenSize
        visible = ids.indices.filter { ids[$0] > 0 }
        raw = Buffer(count: visible.count * width)
        sum = Buffer(count: visible.count * width)
        for (row, index) in visible.enumerated() {
            language.embed(ids[index], into: raw.pointer + row * width)
        }
        sum.pointer.update(repeating: 0, count: visible.count * width)
    }

    /// Embeddings of the visible rows [A, H]: what pre-fusion gets.
    public var embeddings: Block { Block(raw.pointer, rows: visible.count, columns: width) }

    /// Adds one frame's fused rows [A, H]; frames are added in the order of time.
    public func add(_ fused: Block) {
        precondition(fused.rows == visible.count && fused.columns == width, "fused rows \(fused.rows)")
        for row in 0..<fused.rows {
            compute.add(fused.rows(row..<row + 1).floats, to: sum.pointer + row * width, count: width)
        }
        frameCount += 1
    }

    /// The input rows of the language model around the vision tokens.
    public var placeholderIndex: Int? { ids.firstIndex(of: Self.placeholder) }

    /// Row `index` of the fused text: the mean over frames, or the raw embedding where there is none. [H] f32.
    public func write(_ index: Int, into row: UnsafeMutablePointer<Float>) {
        guard frameCount > 0, let position = visible.firstIndex(of: index) else {
            language.embed(max(ids[index], 0), into: row)
            return
        }
        let count = Float(frameCount)
        for i in 0..<width { row[i] = sum.pointer[position * width + i] / count }
    }
}
