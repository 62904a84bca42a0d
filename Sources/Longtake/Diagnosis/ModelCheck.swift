/// A model's results in one precision compared with those in f32: what `longtake model check` prints.
package struct ModelCheck: Sendable, Codable {
    /// How the vision tokens of the frames differ.
    package struct VisionTokens: Sendable, Codable {
        /// Vision tokens compared.
        package let count: Int
        /// The lowest cosine of a token with the same token in f32.
        package let lowestCosine: Double
        /// The median cosine.
        package let medianCosine: Double

        private enum CodingKeys: String, CodingKey {
            case count
            case lowestCosine = "lowest_cosine"
            case medianCosine = "median_cosine"
        }
    }

    /// How the answer to one question differs.
    package struct Answer: Sendable, Codable {
        /// The question's text.
        package let question: String
        /// The answer in f32.
        package let reference: String
        /// The answer in the precision.
        package let answer: String
        /// True if both answers have the same text.
        package let same: Bool
        /// Kullback–Leibler divergence from f32 of the first token's distribution, in nats.
        package let firstTokenDivergence: Double
        /// Mean divergence over the tokens of the f32 answer, each predicted after the f32 tokens before it.
        package let meanDivergence: Double

        private enum CodingKeys: String, CodingKey {
            case question, reference, answer, same
            case firstTokenDivergence = "first_token_kl"
            case meanDivergence = "mean_kl"
        }
    }

    /// The model's folder.
    package let model: String
    /// The recording, as given.
    package let recording: String
    /// The precision compared with f32.
    package let precision: String
    /// Frames compared.
    package let frames: Int
    /// Seconds of video per frame.
    package let frameSeconds: Double
    /// The vision tokens.
    package let visionTokens: VisionTokens
    /// One element per question.
    package let answers: [Answer]
    /// Answers whose text differs from that in f32.
    package let changed: Int
    /// Remarks about the model and the recording.
    package let notes: [String]

    private enum CodingKeys: String, CodingKey {
        case model, recording, precision, frames, answers, changed, notes
        case frameSeconds = "frame_seconds"
        case visionTokens = "vision_tokens"
    }

    /// Questions asked if none are given: short ones that any recording can be asked.
    package static let defaultQuestions = [
        "What happens in this recording?", "What is in the foreground?", "What is in the background?",
        "How many people are there?", "What changes during the recording?", "Is it day or night?",
        "What is seen first?", "What is seen last?",
    ]
}

extension ModelCheck.VisionTokens {
    /// Compares rows of `width` values; both have the same count.
    init(_ found: [Float], reference: [Float], width: Int) {
        var cosines: [Double] = []
        for start in stride(from: 0, to: min(found.count, reference.count), by: width) {
            var (dot, length, other) = (0.0, 0.0, 0.0)
            for index in start..<start + width {
                let (a, b) = (Double(found[index]), Double(reference[index]))
                dot += a * b
                length += a * a
                other += b * b
            }
            // Tokens of zeros are equal if both are.
            cosines.append(
                length * other > 0 ? dot / (length * other).squareRoot() : length == other ? 1 : 0)
        }
        cosines.sort()
        count = cosines.count
        lowestCosine = cosines.first ?? 1
        medianCosine = cosines.isEmpty ? 1 : cosines[cosines.count / 2]
    }
}
