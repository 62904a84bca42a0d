/// An answer, or what a text search found, as a report shows it; its times are those of the JSON outputs.
package struct ReportAnswer: Sendable, Encodable {
    /// The answer's text.
    package var answer: String
    /// False if it was read from no frame.
    package let found: Bool
    /// The value of an answer in a form; nil: free text, or there is no answer.
    package let value: AnswerValue?
    /// Start and end of the window asked about, in seconds on the file's timeline; nil: all or a range of the file.
    package let segment: [Double]?
    /// `segment` as times of day, RFC 3339.
    package let segmentClock: [String]?
    /// The intervals the answer was read from, strongest first.
    package let evidence: [Evidence]
    /// When it was given, RFC 3339.
    package let created: String
    /// The model's name.
    package let model: String
    /// The answer's key in the outputs and the run that gave it; nil for one that no pipeline asked for.
    package let key: String?
    package let run: String?

    /// An answer of a record.
    ///
    /// - Parameters:
    ///   - key: the answer's key in a pipeline's outputs.
    ///   - run: the run that gave it.
    package init(_ record: AnswerRecord, key: String? = nil, run: String? = nil) {
        answer = record.answer
        (found, value) = (record.found, record.value)
        segment = record.segment.flatMap { $0.count == 2 && $0[0] <= $0[1] ? $0 : nil }
        segmentClock = record.segmentClock
        evidence = record.evidence.filter { $0.start <= $0.end }
        (created, model) = (record.created, record.model)
        (self.key, self.run) = (key, run)
    }

    private enum CodingKeys: String, CodingKey {
        case answer, found, value, segment, evidence, created, model, key
        case segmentClock = "segment_clock"
        case run = "run_id"
    }

    /// Where it begins on the timeline; infinite without an interval.
    var start: Double { segment?[0] ?? evidence.map(\.start).min() ?? .infinity }

    /// The longest text of an answer that is shown whole, in characters.
    static let longestText = 600

    /// About how many bytes it takes in a page, with its JSON.
    var cost: Int { 500 + answer.utf8.count + 2 * min(answer.utf8.count, Self.longestText) + evidence.count * 700 }
}
