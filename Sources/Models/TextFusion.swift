internal import Checkpoints
public import Tensors

// Letters: B frames, A text rows (IDs above 0), H language width.

/// The prompt's text in pre-fusion: the rows that take part, and their mean over the frames.
///
/// A row whose ID is 0 or the placeholder is padding in the reference: it is masked, keeps its raw embedding and takes
/// no position. Leaving it out is equivalent. Source: docs/model.md, sections 6 and 8.
public final class TextFusion {
    /// The image token index of LLaVA, which stands for the vision tokens.
    public static let placeholder: Int32 = -200

    /// The prompt's token IDs, at most one of them the placeholder.
    public let ids: [Int32]
    private let visible: [Int]  // [A], indices into ids
    private let width: Int
    private let raw: Buffer<Float>  // [A, H]
    private let sum: Buffer<Float>  // [A, H]
    private var squares: [Double]  // [A], sum over frames of the row's squared length
    private var counts: [Int]  // [A], frames added
    /// Frames added so far; the text's beginning may have had more frames added than its end.
    public var frameCount: Int { counts.last ?? 0 }
    private let language: LanguageModel
    private let compute: Compute

    /// - Throws: `ModelError` for two placeholders or an ID outside the vocabulary.
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

    /// Embeddings of the text rows [A, H] f32, the input of pre-fusion.
    public var embeddings: MatrixView { MatrixView(raw.pointer, rows: visible.count, columns: width) }

    /// The number of text rows among the first `count` IDs.
    public func visibleRows(before count: Int) -> Int { visible.count { $0 < count } }

    /// Adds the fused rows of one frame, starting at text row `first`; add frames in time order.
    ///
    /// - Parameters:
    ///   - fused: [rows, H] f32.
    ///   - times: the number of consecutive frames with these rows; the sum equals that many separate additions bit for
    ///     bit.
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
        /// [rows, H]
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

    /// The sums of the first `rows` text rows.
    public func head(rows: Int) -> Head {
        Head(
            sums: Array(UnsafeBufferPointer(start: sum.pointer, count: rows * width)),
            squares: Array(squares[..<rows]), count: counts.first ?? 0)
    }

    /// Restores the first rows from `head`; returns false if its size does not fit.
    public func restore(_ head: Head) -> Bool {
        let rows = head.squares.count
        guard rows <= visible.count, head.sums.count == rows * width else { return false }
        head.sums.withUnsafeBufferPointer { sums in
            if let base = sums.baseAddress { sum.pointer.update(from: base, count: sums.count) }
        }
        for row in 0..<rows { (squares[row], counts[row]) = (head.squares[row], head.count) }
        return true
    }

    /// The standard error of the mean as an estimate for `population` frames, relative to the mean's length.
    ///
    /// Computed as for a simple random sample with finite-population correction, although the sample is stratified. It
    /// is one standard error: the true error is usually, but not always, smaller.
    /// - Parameters:
    ///   - population: the number of frames that the mean stands for.
    ///   - first: the text row from which rows count.
    /// - Returns: 0 only if all frames took part; nil if one frame stands for several, which gives no estimate.
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

    /// The distance of the means from those of the same text over other frames, relative to the latter's length.
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

    /// The index of the placeholder in `ids`; nil if there is none.
    public var placeholderIndex: Int? { ids.firstIndex(of: Self.placeholder) }

    /// Writes row `index` of the fused text [H] f32: the mean over frames, or the raw embedding if no frame was added.
    public func write(_ index: Int, into row: UnsafeMutablePointer<Float>) {
        guard let position = visible.firstIndex(of: index), counts[position] > 0 else {
            language.embed(max(ids[index], 0), into: row)
            return
        }
        let count = Float(counts[position])
        for i in 0..<width { row[i] = sum.pointer[position * width + i] / count }
    }
}
