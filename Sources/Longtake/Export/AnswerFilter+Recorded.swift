extension AnswerFilter {
    /// The answers about a time of day: those with an interval, else a range, that the window overlaps.
    ///
    /// - Throws: `LongtakeError` `bad_request` if the recording's start is unknown.
    package static func records(
        _ records: [AnswerRecord], in selection: RecordingSelection, of recording: RecordingSummary
    ) throws -> [AnswerRecord] {
        guard selection.hasWindow else { return records }
        let window = try selection.narrowed(from: nil, to: nil, on: recording.clock, of: recording.path)
        func overlaps(_ interval: ClosedRange<Double>) -> Bool {
            interval.lowerBound < window.to ?? .infinity && interval.upperBound >= window.from ?? -.infinity
        }
        return records.filter { record in
            let intervals = record.intervals
            if !intervals.isEmpty { return intervals.contains(where: overlaps) }
            guard let range = record.range, range.count == 2, range[0] <= range[1] else {
                return overlaps(0...(recording.end ?? .greatestFiniteMagnitude))
            }
            return overlaps(range[0]...range[1])
        }
    }
}
