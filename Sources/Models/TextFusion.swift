internal import Checkpoints
public import Tensors

/// The prompt's text on its way through pre-fusion: which rows take part, and their mean over the frames.
///
/// A row whose id is 0 or the placeholder is padding to the reference: no frame sees it, it keeps its raw embedding, and
/// it counts no position, which is the same as leaving it out (docs/model.md, sections 6 and 8).
public final class TextFusion {
    /// The id that stands where the vision tokens go.
    public static let placeholder: Int32 = -200

    public let ids: [Int32]
    private let visible: [Int]
    private let width: Int
    private let raw: Buffer<Float>  // [A, H]
    private let sum: Buffer<Float>  // [A, H]
    private var squares: [Double]  // per row: the sum over frames of the squared length
    private var counts: [Int]  // per row: the frames added
    /// Frames added so far; the text's beginning may know more of them than its end.
    public var frameCount: Int { counts.last ?? 0 }
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
        counts = [Int](repeating: 0, count: visible.count)
        for (row, index) in visible.enumerated() {
            language.embed(ids[index], into: raw.pointer + row * width)
        }
        sum.pointer.update(repeating: 0, count: visible.count * width)
    }

    /// Embeddings of the visible rows [A, H]: what pre-fusion gets.
    public var embeddings: MatrixView { MatrixView(raw.pointer, rows: visible.count, columns: width) }

    /// How many visible rows the first `count` ids have.
    public func visibleRows(before count: Int) -> Int { visible.count { $0 < count } }

    /// Adds one frame's fused rows, from visible row `first` on; frames are added in the order of time.
    ///
    /// - Parameter times: how many frames in a row have these rows. The sum is that of so many additions, bit for bit.
    public func add(_ fused: MatrixView, at first: Int = 0, times: Int = 1) {
        precondition(fused.columns == width && first + fused.rows <= visible.count, "fused rows \(fused.rows)")
        for row in 0..<fused.rows {
            let values = fused.rows(row..<row + 1).floats
            for _ in 0..<times { compute.add(values, to: sum.pointer + (first + row) * width, count: width) }
            var square = 0.0
            for i in 0..<width { square += Double(values[i]) * Double(values[i]) }
            squares[first + row] += Double(times) * square
            counts[first + row] += times
        }
    }

    /// The sums over frames of a prompt's first rows.
    public struct Head: Sendable, Equatable {
        /// [A, H].
        public let sums: [Float]
        /// Per row: the sum over frames of the squared length.
        public let squares: [Double]
        /// Frames in the sums.
        public let count: Int

        public init(sums: [Float], squares: [Double], count: Int) {
            self.sums = sums
            self.squares = squares
            self.count = count
        }
    }

    /// What was added to the first `rows` visible rows.
    public func head(rows: Int) -> Head {
        Head(
            sums: Array(UnsafeBufferPointer(start: sum.pointer, count: rows * width)),
            squares: Array(squares[..<rows]), count: counts.first ?? 0)
    }

    /// Puts the first rows in the place they were in when `head` was taken; false where its size is another.
    public func restore(_ head: Head) -> Bool {
        let rows = head.squares.count
        guard rows <= visible.count, head.sums.count == rows * width else { return false }
        head.sums.withUnsafeBufferPointer { sums in
            if let base = sums.baseAddress { sum.pointer.update(from: base, count: sums.count) }
        }
        for row in 0..<rows { (squares[row], counts[row]) = (head.squares[row], head.count) }
        return true
    }

    /// Standard error of the mean as an estimate for `population` frames, relative to the mean's length.
    ///
    /// That of a simple random sample with finite-population correction; the sample taken is stratified. One standard error:
    /// the real one is usually, not always, below it.
    /// - Parameters:
    ///   - population: how many frames the mean is to stand for.
    ///   - first: the visible row from which on they count.
    /// - Returns: 0 only where all frames took part; nil where one frame stands for several, which says nothing of itself.
    public func relativeStandardError(population: Int, from first: Int = 0) -> Double? {
        var (variance, length) = (0.0, 0.0)
        for row in visible.indices where row >= first {
            let n = Double(counts[row])
            guard n < Double(population) else { continue }
            guard n > 1 else { return nil }
            var square = 0.0
            for i in 0..<width { square += pow2(Double(sum.pointer[row * width + i]) / n) }
            variance += max(0, squares[row] - n * square) / (n - 1) / n * max(0, 1 - n / Double(population))
            length += square
        }
        return length > 0 ? (variance / length).squareRoot() : 0
    }

    /// How far the means are from those of the same text over other frames, relative to their length.
    public func deviation(from other: TextFusion) -> Double {
        precondition(visible.count == other.visible.count && width == other.width, "texts that differ")
        var (off, length) = (0.0, 0.0)
        for row in visible.indices where counts[row] > 0 && other.counts[row] > 0 {
            for i in row * width..<(row + 1) * width {
                let theirs = Double(other.sum.pointer[i]) / Double(other.counts[row])
                off += pow2(Double(sum.pointer[i]) / Double(counts[row]) - theirs)
                length += pow2(theirs)
            }
        }
        return length > 0 ? (off / length).squareRoot() : 0
    }

    private func pow2(_ x: Double) -> Double { x * x }

    /// The input rows of the language model around the vision tokens.
    public var placeholderIndex: Int? { ids.firstIndex(of: Self.placeholder) }

    /// Row `index` of the fused text: the mean over frames, or the raw embedding where there is none. [H] f32.
    public func write(_ index: Int, into row: UnsafeMutablePointer<Float>) {
        guard let position = visible.firstIndex(of: index), counts[position] > 0 else {
            language.embed(max(ids[index], 0), into: row)
            return
        }
        let count = Float(counts[position])
        for i in 0..<width { row[i] = sum.pointer[position * width + i] / count }
    }
}
