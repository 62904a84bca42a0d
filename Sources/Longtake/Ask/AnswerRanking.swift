/// The answers to one question about several recordings, found ones first, by descending score.
package struct AnswerRanking: Sendable, Encodable {
    /// One recording's answer and rank.
    package struct Entry: Sendable, Encodable {
        /// From 1; nil if nothing was found.
        package let rank: Int?
        /// The recording that was asked about.
        package let recording: Answer.RecordingReference
        /// False if the answer was read from no frame.
        package let found: Bool
        /// The sort key, 0 to 1: `foundScore`, else the score of the strongest evidence, else 0.
        package let score: Double
        /// The answer's text.
        package let answer: String
        /// The answer's evidence, strongest first.
        package let evidence: [Evidence]
    }

    /// Tells this JSON object from answers in the same output.
    package let messageType = "ranking"
    /// The question's text.
    package let question: String
    /// In the order of their rank.
    package let recordings: [Entry]

    /// Ranks answers to the same question.
    ///
    /// - Parameter answers: in the order of the recordings, which equal scores keep.
    package init(question: String, _ answers: [Answer]) {
        self.question = question
        func score(_ answer: Answer) -> Double { answer.foundScore ?? answer.evidence.first?.score ?? 0 }
        let order = answers.indices.sorted {
            let (a, b) = (answers[$0], answers[$1])
            if a.found != b.found { return a.found }
            return score(a) != score(b) ? score(a) > score(b) : $0 < $1
        }
        recordings = order.enumerated().map { position, index in
            let answer = answers[index]
            return Entry(
                rank: answer.found ? position + 1 : nil, recording: answer.recording, found: answer.found,
                score: score(answer), answer: answer.answer, evidence: answer.evidence)
        }
    }

    private enum CodingKeys: String, CodingKey {
        case messageType = "message_type"
        case question, recordings
    }
}
