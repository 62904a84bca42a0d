internal import Foundation

/// How much attention each layer's text and answer rows give to vision, instruction and answer tokens.
package struct AttentionInspection: Sendable, Encodable {
    /// Means over the rows of one kind, in one layer.
    package struct Shares: Sendable, Encodable {
        /// The share on vision tokens.
        package let vision: Double
        /// The share on the prompt's text.
        package let instruction: Double
        /// The share on the answer's tokens.
        package let answer: Double
        /// Entropy over the vision tokens in bits.
        package let visionEntropy: Double

        private enum CodingKeys: String, CodingKey {
            case vision, instruction, answer
            case visionEntropy = "vision_entropy_bits"
        }
    }

    /// One layer.
    package struct Layer: Sendable, Encodable {
        /// From 0.
        package let layer: Int
        /// Of the prompt's text rows after the vision tokens.
        package let instructionRows: Shares
        /// Of the answer's rows; nil if the answer is empty.
        package let answerRows: Shares?

        private enum CodingKeys: String, CodingKey {
            case layer
            case instructionRows = "instruction_rows"
            case answerRows = "answer_rows"
        }
    }

    /// The recording or image.
    package let input: String
    /// The question.
    package let question: String
    /// The model's answer.
    package let answer: String
    /// The model's name.
    package let model: String
    /// Vision tokens in the prompt.
    package let visionTokens: Int
    /// Text rows of the prompt that were recorded.
    package let instructionRows: Int
    /// Rows of the answer.
    package let answerRows: Int
    /// The layers, first to last.
    package let layers: [Layer]
    /// What is unusual about the model or the recording.
    package let notes: [String]

    private enum CodingKeys: String, CodingKey {
        case input, question, answer, model, layers, notes
        case visionTokens = "vision_tokens"
        case instructionRows = "instruction_rows"
        case answerRows = "answer_rows"
    }

    /// A drawing of the shares by layer: stacked areas for the instruction's rows and for the answer's.
    package var svg: String {
        let (width, height, left, top) = (420.0, 180.0, 48.0, 40.0)
        let kinds: [(String, (Layer) -> Shares?)] = [
            ("instruction rows", { $0.instructionRows }), ("answer rows", { $0.answerRows }),
        ]
        let colors = [("vision", "#bc3754"), ("instruction", "#4f6d8f"), ("answer", "#c9b458")]
        func number(_ value: Double) -> String { String(format: "%.2f", value) }
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(number(width + left + 110))"#
                + #" \#(number(2 * (height + 70) + 20))" font-family="sans-serif" font-size="12">"#,
            "<title>\(HeatMap.escaped("attention by layer: \(question)"))</title>",
        ]
        for (row, (title, shares)) in kinds.enumerated() {
            let base = top + Double(row) * (height + 70)
            let values = layers.compactMap(shares)
            lines.append(#"<text x="\#(number(left))" y="\#(number(base - 10))">\#(title), share of attention</text>"#)
            guard values.count == layers.count, !values.isEmpty else { continue }
            func x(_ layer: Int) -> String {
                number(left + width * (values.count > 1 ? Double(layer) / Double(values.count - 1) : 0.5))
            }
            var below = [Double](repeating: 0, count: values.count)
            for (index, (name, color)) in colors.enumerated() {
                let above = values.enumerated().map { layer, share in
                    below[layer] + [share.vision, share.instruction, share.answer][index]
                }
                let points =
                    above.enumerated().map { "\(x($0)),\(number(base + height * (1 - $1)))" }
                    + below.enumerated().reversed().map { "\(x($0)),\(number(base + height * (1 - $1)))" }
                lines.append(#"<polygon points="\#(points.joined(separator: " "))" fill="\#(color)"/>"#)
                let y = number(base + 14 + 18 * Double(index))
                lines.append(#"<text x="\#(number(left + width + 12))" y="\#(y)" fill="\#(color)">\#(name)</text>"#)
                below = above
            }
            for (label, y) in [("0", base + height), ("1", base)] {
                lines.append(#"<text x="\#(number(left - 14))" y="\#(number(y + 4))">\#(label)</text>"#)
            }
            lines.append(
                #"<text x="\#(number(left))" y="\#(number(base + height + 18))">layer 0 to \#(values.count - 1)</text>"#
            )
        }
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    /// A table for display, with its header.
    package var table: [[String]] {
        func percent(_ value: Double?) -> String { value.map { String(format: "%.1f", 100 * $0) } ?? "" }
        func bits(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "" }
        return [["layer", "text to vision", "text to text", "answer to vision", "to text", "to answer", "entropy"]]
            + layers.map { layer in
                let (text, answer) = (layer.instructionRows, layer.answerRows)
                return [
                    "\(layer.layer)", percent(text.vision), percent(text.instruction), percent(answer?.vision),
                    percent(answer?.instruction), percent(answer?.answer),
                    bits(answer?.visionEntropy ?? text.visionEntropy),
                ]
            }
    }
}
