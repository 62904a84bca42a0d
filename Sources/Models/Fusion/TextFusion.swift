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
    private var squares: [Double]  // per row: the sum over frames of the squared length
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
        squares = [Double](repeating: 0, count: visible.count)
        for (row, index) in visible.enumerated() {
            language.embed(ids[index], into: raw.pointer + row * width)
        }
        sum.pointer.update(repeating: 0, count: visible.count * width)
    }

    /// Embeddings of the visible rows [A, H]: what pre-fusion gets.
    public var embeddings: Block { Block(raw.pointer, rows: visible.count, columns: width) }

    /// How many visible rows the first `count` ids have.
    public func visibleRows(before count: Int) -> Int { visible.count { $0 < count } }

    /// Adds one frame's fused rows [A, H]; frames are added in the order of time.
    public func add(_ fused: Block, times: Int = 1) {
        add(head: fused, tail: nil, times: times)
    }

    /// Adds one frame's fused rows: those shared with other prompts, then the rest.
    ///
    /// - Parameter times: how many frames in a row have these rows. The sum is that of so many additions, bit for bit.
    public func add(head: Block, tail: Block?, times: Int = 1) {
        precondition(head.rows + (tail?.rows ?? 0) == visible.count, "fused rows \(head.rows) + \(tail?.rows ?? 0)")
        add(head, at: 0, times: times)
        if let tail { add(tail, at: head.rows, times: times) }
        frameCount += times
    }

    private func add(_ fused: Block, at first: Int, times: Int) {
        precondition(fused.columns == width, "fused columns \(fused.columns)")
        for row in 0..<fused.rows {
            let values = fused.rows(row..<row + 1).floats
            for _ in 0..<times { compute.add(values, to: sum.pointer + (first + row) * width, count: width) }
            var square = 0.0
            for i in 0..<width { square += Double(values[i]) * Double(values[i]) }
            squares[first + row] += Double(times) * square
        }
    }

    /// Standard error of the mean as an estimate for `population` frames, relative to the mean's length.
    ///
    /// That of a simple random sample with finite-population correction; the sample taken is stratified. One standard error:
    /// the real one is usually, not always, below it.
    public func relativeStandardError(population: Int) -> Double {
        guard frameCount > 1, population > frameCount else { return 0 }
        let n = Double(frameCount)
        var (spread, length) = (0.0, 0.0)
        for row in visible.indices {
            var square = 0.0
            for i in 0..<width { square += pow2(Double(sum.pointer[row * width + i]) / n) }
            spread += max(0, squares[row] - n * square) / (n - 1)
            length += square
        }
        guard length > 0 else { return 0 }
        return ((spread / n) * (1 - n / Double(population)) / length).squareRoot()
    }

    private func pow2(_ x: Double) -> Double { x * x }

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
