internal import Checkpoints
public import Tensors

// Letters: B frames, A text rows (IDs above 0), H language width.

/// The prompt's text in pre-fusion: the rows that take part, and their mean over the frames.
///
/// A row whose ID is 0 or the image token is padding in the reference: it is masked, keeps its raw embedding and takes
/// no position. Leaving it out is equivalent. Source: docs/model.md, sections 6 and 8.
public final class TextFusion {
    /// LLaVA's `IMAGE_TOKEN_INDEX`: the ID that stands for the vision tokens.
    public static let imageTokenIndex: Int32 = -200

    /// The prompt's token IDs, at most one of them the image token.
    public let ids: [Int32]
    private let textRows: [Int]  // [A], indices into ids
    private let width: Int
    private let raw: Buffer<Float>  // [A, H]
    private let sum: Buffer<Float>  // [A, H]
    private var squares: [Double]  // [A], sum over frames of the row's squared length
    private var counts: [Int]  // [A], frames added
    /// Frames added so far; the text's prefix may have had more frames added than its suffix.
    public var frameCount: Int { counts.last ?? 0 }
    private let language: LanguageModel
    private let compute: Compute

    /// Looks up the embeddings of `ids`.
    ///
    /// - Throws: `ModelError` for two image tokens or an ID outside the vocabulary.
    public init(ids: [Int32], model: LlavaMini) throws {
        guard ids.filter({ $0 == Self.imageTokenIndex }).count <= 1 else {
            throw ModelError(code: .badPrompt, message: "the prompt has two image tokens; use one")
        }
        for id in ids where id != Self.imageTokenIndex && !model.language.isInVocabulary(id) {
            throw ModelError(
                code: .badPrompt,
                message: "token ID \(id) is outside the vocabulary of \(model.language.config.vocabularySize): the "
                    + "tokenizer belongs to another model")
        }
        self.ids = ids
        language = model.language
        compute = model.compute
        width = model.hiddenSize
        textRows = ids.indices.filter { ids[$0] > 0 }
        raw = Buffer(count: textRows.count * width)
        sum = Buffer(count: textRows.count * width)
        squares = [Double](repeating: 0, count: textRows.count)
        counts = [Int](repeating: 0, count: textRows.count)
        for (row, index) in textRows.enumerated() {
            language.embed(ids[index], into: raw.pointer + row * width)
        }
        sum.pointer.update(repeating: 0, count: textRows.count * width)
    }

    /// Embeddings of the text rows [A, H] f32, the input of pre-fusion.
    public var embeddings: MatrixView { MatrixView(raw.pointer, rows: textRows.count, columns: width) }

    /// The number of text rows among the first `count` IDs.
    public func rowCount(before count: Int) -> Int { textRows.count { $0 < count } }

    /// Adds the fused rows of one frame, starting at text row `first`; add frames in time order.
    ///
    /// - Parameters:
    ///   - fused: [rows, H] f32.
    ///   - times: the number of consecutive frames with these rows; the sum equals that many separate additions bit for
    ///     bit.
    public func add(_ fused: MatrixView, at first: Int = 0, times: Int = 1) {
        precondition(fused.columns == width && first + fused.rows <= textRows.count, "fused rows \(fused.rows)")
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
    public struct PrefixSums: Sendable, Equatable {
        /// [rows, H]
        public let sums: [Float]
        /// [rows]: the sum over frames of the row's squared length.
        public let squares: [Double]
        /// Frames in the sums.
        public let count: Int

        /// Sums that were stored earlier.
        public init(sums: [Float], squares: [Double], count: Int) {
            self.sums = sums
            self.squares = squares
            self.count = count
        }
    }

    /// The sums of the first `rows` text rows.
    public func prefixSums(rows: Int) -> PrefixSums {
        PrefixSums(
            sums: Array(UnsafeBufferPointer(start: sum.pointer, count: rows * width)),
            squares: Array(squares[..<rows]), count: counts.first ?? 0)
    }

    /// Restores the first rows from `prefix`; returns false if its size does not fit.
    public func restore(_ prefix: PrefixSums) -> Bool {
        let rows = prefix.squares.count
        guard rows <= textRows.count, prefix.sums.count == rows * width else { return false }
        prefix.sums.withUnsafeBufferPointer { sums in
            if let base = sums.baseAddress { sum.pointer.update(from: base, count: sums.count) }
        }
        for row in 0..<rows { (squares[row], counts[row]) = (prefix.squares[row], prefix.count) }
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
        for row in textRows.indices where row >= first {
            let n = Double(counts[row])
            guard n < Double(population) else { continue }
            guard n > 1 else { return nil }
            var squaredLength = 0.0
            for i in 0..<width { squaredLength += pow2(Double(sum.pointer[row * width + i]) / n) }
            variance += max(0, squares[row] - n * squaredLength) / (n - 1) / n * max(0, 1 - n / Double(population))
            length += squaredLength
        }
        return length > 0 ? (variance / length).squareRoot() : 0
    }

    /// The distance of the means from those of the same text over other frames, relative to the latter's length.
    public func deviation(from other: TextFusion) -> Double {
        precondition(textRows.count == other.textRows.count && width == other.width, "the texts differ")
        var (distance, length) = (0.0, 0.0)
        for row in textRows.indices where counts[row] > 0 && other.counts[row] > 0 {
            for i in row * width..<(row + 1) * width {
                let expected = Double(other.sum.pointer[i]) / Double(other.counts[row])
                distance += pow2(Double(sum.pointer[i]) / Double(counts[row]) - expected)
                length += pow2(expected)
            }
        }
        return length > 0 ? (distance / length).squareRoot() : 0
    }

    private func pow2(_ x: Double) -> Double { x * x }

    /// The index of the image token in `ids`; nil if there is none.
    public var imagePosition: Int? { ids.firstIndex(of: Self.imageTokenIndex) }

    /// Writes row `index` of the fused text [H] f32: the mean over frames, or the raw embedding if no frame was added.
    public func write(_ index: Int, into row: UnsafeMutablePointer<Float>) {
        guard let position = textRows.firstIndex(of: index), counts[position] > 0 else {
            language.embed(max(ids[index], 0), into: row)
            return
        }
        let count = Float(counts[position])
        for i in 0..<width { row[i] = sum.pointer[position * width + i] / count }
    }
}
