/// The answers to one question about several recordings: those where it was found first.
public struct AnswerRanking: Sendable, Encodable {
    public struct Entry: Sendable, Encodable {
        /// From 1; nil where it was not found.
        public let rank: Int?
        public let recording: Answer.RecordingReference
        public let found: Bool
        /// What it is ranked by, 0 to 1.
        public let score: Double
        public let answer: String
        public let evidence: [Evidence]
    }

    public let messageType = "ranking"
    public let question: String
    public let recordings: [Entry]

    /// - Parameter answers: to the same question, in the order of the recordings, which stays among equals.
    public init(question: String, _ answers: [Answer]) {
        self.question = question
        func score(_ answer: Answer) -> Double { answer.foundScore ?? answer.evidence.first?.score ?? 0 }
        let order = answers.indices.sorted {
            let (a, b) = (answers[$0], answers[$1])
            if a.found != b.found { return a.found }
            return score(a) != score(b) ? score(a) > score(b) : $0 < $1
        }
        recordings = order.enumerated().map { place, index in
            let answer = answers[index]
            return Entry(
                rank: answer.found ? place + 1 : nil, recording: answer.recording, found: answer.found,
                score: score(answer), answer: answer.answer, evidence: answer.evidence)
        }
    }

    private enum CodingKeys: String, CodingKey {
        case messageType = "message_type"
        case question, recordings
    }
}
