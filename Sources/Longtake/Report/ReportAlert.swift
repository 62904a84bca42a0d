/// A finding that an alert is about, as a report shows it.
package struct ReportAlert: Sendable, Encodable {
    /// The alert's ID.
    package let alert: String
    /// `pending`, `sending`, `sent` or `failed`.
    package let state: String
    /// How often sending failed.
    package let tries: Int
    /// Why it was not sent; nil if it was or was not tried.
    package let error: String?
    /// The file that it is about; nil: the run itself.
    package let path: String?
    /// The question, and the answer that set it off; nil for a failure.
    package let question: String?
    package let answer: String?
    /// The interval that the answer is about: its window, else its strongest evidence, in seconds on the file's timeline.
    package let interval: [Double]?
    /// `interval` as times of day, RFC 3339.
    package let clock: [String]?
    /// The message of a failure.
    package let message: String?

    /// An alert from its values.
    package init(
        alert: String, state: String, tries: Int, error: String?, path: String?, answer: AnswerRecord?,
        message: String?
    ) {
        (self.alert, self.state, self.tries, self.error) = (alert, state, tries, error)
        (self.path, self.message) = (path, message)
        question = answer.map { $0.questionID ?? $0.question }
        self.answer = answer?.answer
        let first = answer?.evidence.first
        interval = answer?.segment ?? first.map { [$0.start, $0.end] }
        clock =
            answer?.segment == nil
            ? first.map { [$0.startClock, $0.endClock].compactMap(\.self) } : answer?.segmentClock
    }
}
