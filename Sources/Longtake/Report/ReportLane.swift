/// The answers to one question about a recording, or the hits of one text search: a lane of its timeline.
package struct ReportLane: Sendable, Encodable {
    /// How a lane is drawn.
    package enum Kind: String, Sendable, Encodable {
        /// The evidence of answers about the whole recording or a range of it.
        case question
        /// One answer per window.
        case windows
        /// The hits of a text search, with their scores.
        case search
    }

    /// The pipeline's ID of the question; the question's text if it has none.
    package let id: String
    /// The question or the text searched for.
    package let question: String
    /// How it is drawn.
    package let kind: Kind
    /// The answers in the order of the timeline.
    package private(set) var answers: [ReportAnswer]
    /// Answers that are left out of this list because the report would be too large.
    package private(set) var answersLeftOut = 0
    /// Of windows: all of them in time order, equal neighbors as one.
    let blocks: [ReportBlock]
    /// Most blocks that are drawn.
    var mostBlocks = Int.max

    /// A lane with its answers in any order.
    package init(id: String, question: String, kind: Kind, answers: [ReportAnswer]) {
        (self.id, self.question, self.kind) = (id, question, kind)
        self.answers = answers.enumerated().sorted {
            ($0.element.start, $0.offset) < ($1.element.start, $1.offset)
        }.map(\.element)
        blocks = kind == .windows ? ReportBlock.merged(self.answers) : []
    }

    private enum CodingKeys: String, CodingKey {
        case id, question, kind, answers
        case answersLeftOut = "answers_left_out"
    }

    /// Keeps the first answers of the timeline.
    mutating func keep(_ count: Int) {
        guard answers.count > count else { return }
        answersLeftOut += answers.count - count
        answers.removeLast(answers.count - count)
    }
}
