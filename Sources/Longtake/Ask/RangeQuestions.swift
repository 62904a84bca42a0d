/// Questions about one range of a recording.
package struct RangeQuestions: Sendable {
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    package var from: Double?
    /// End of the range, not included; nil: the recording's end.
    package var to: Double?
    /// The window that the answers state; nil: they are not asked window by window.
    package var segment: [Double]?
    /// The questions; their own ranges are ignored.
    package var questions: [Question]

    /// Questions about a range.
    package init(_ questions: [Question], from: Double? = nil, to: Double? = nil, segment: [Double]? = nil) {
        self.questions = questions
        self.from = from
        self.to = to
        self.segment = segment
    }
}
