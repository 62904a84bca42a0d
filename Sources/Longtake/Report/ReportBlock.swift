/// Consecutive windows with the same answer.
struct ReportBlock: Sendable {
    /// Start of the first and end of the last window, in seconds on the file's timeline.
    let start: Double
    private(set) var end: Double
    /// The first window's answer.
    let answer: ReportAnswer
    /// Number of windows.
    private(set) var count = 1
    /// The strongest evidence of all windows; nil if they have none.
    private(set) var evidence: Evidence?
    /// The last window's answer, for its times of day.
    private(set) var last: ReportAnswer

    private init?(_ answer: ReportAnswer) {
        guard let segment = answer.segment else { return nil }
        (start, end) = (segment[0], segment[1])
        (self.answer, last) = (answer, answer)
        evidence = answer.evidence.max { $0.score < $1.score }
    }

    /// What makes two answers the same: the text without case and spaces around it, and whether it was found.
    static func name(_ answer: ReportAnswer) -> String {
        answer.found ? answer.answer.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased() : ""
    }

    /// Merges equal neighbors.
    ///
    /// - Parameter answers: in time order; those without a window are left out.
    static func merged(_ answers: [ReportAnswer]) -> [ReportBlock] {
        var blocks: [ReportBlock] = []
        for answer in answers {
            guard let block = ReportBlock(answer) else { continue }
            // Windows that overlap or leave a gap are kept apart; 1 ms is below any frame's length.
            if let open = blocks.last, abs(open.end - block.start) < 0.001, name(open.answer) == name(answer) {
                blocks[blocks.count - 1].extend(block)
            } else {
                blocks.append(block)
            }
        }
        return blocks
    }

    private mutating func extend(_ other: ReportBlock) {
        end = other.end
        count += other.count
        last = other.last
        if let new = other.evidence, new.score > evidence?.score ?? -.infinity { evidence = new }
    }

    /// Start and end as times of day, for people; nil if unknown.
    var dayTimes: String? { DayInterval.text(answer.segmentClock?.first, last.segmentClock?.last) }
}
