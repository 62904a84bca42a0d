public import Tensors

// Letters: R rows of the language model's input, B frames, C2 vision tokens per frame, H language width, V vocabulary.

/// The input sequence of the language model: fused text, vision tokens, fused text.
///
/// R = prefix + B · C2 + suffix rows at positions 0, 1, 2, … Source: docs/model.md, section 8.
public struct FusedPrompt {
    /// Rows before the vision tokens; all rows if the prompt has no image token.
    public let prefixRows: Int
    /// Vision tokens, B · C2.
    public let visionTokens: Int
    /// Rows after the vision tokens.
    public let suffixRows: Int
    private let text: TextFusion
    private let readTokens: (Range<Int>, MatrixView) -> Void

    /// Joins the text with the vision tokens, which are read when rows are written.
    ///
    /// - Parameters:
    ///   - text: the IDs, fused with the frames added to it; without frames, plain embeddings.
    ///   - visionTokens: B · C2; 0 without frames.
    ///   - readTokens: writes the given vision tokens into a matrix [rows, H] f32.
    public init(text: TextFusion, visionTokens: Int, readTokens: @escaping (Range<Int>, MatrixView) -> Void) {
        self.text = text
        self.readTokens = readTokens
        if let index = text.imagePosition {
            prefixRows = index
            suffixRows = text.ids.count - index - 1
            self.visionTokens = visionTokens
        } else {
            // Without an image token no vision tokens are inserted, although the text is fused.
            prefixRows = text.ids.count
            suffixRows = 0
            self.visionTokens = 0
        }
    }

    /// All rows, R.
    public var count: Int { prefixRows + visionTokens + suffixRows }

    /// Writes the input rows `range` into `out` [range.count, H] f32.
    public func write(_ range: Range<Int>, into out: MatrixView) {
        let vision = prefixRows..<prefixRows + visionTokens
        for row in range where !vision.contains(row) {
            // After the vision tokens, the text continues after the image token.
            let source = row < prefixRows ? row : row - visionTokens + 1
            text.write(source, into: out.rows(row - range.lowerBound..<row - range.lowerBound + 1).floats)
        }
        let tokenRows = range.clamped(to: vision)
        if !tokenRows.isEmpty {
            let rows = tokenRows.lowerBound - range.lowerBound..<tokenRows.upperBound - range.lowerBound
            readTokens(tokenRows.lowerBound - prefixRows..<tokenRows.upperBound - prefixRows, out.rows(rows))
        }
    }
}
