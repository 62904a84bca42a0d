/// A clip before it is cut: the evidence that it is to show.
struct ClipPlan: Equatable {
    /// The wanted start, in seconds from the recording's first frame.
    var start: Double
    /// The wanted end.
    var end: Double
    var items: [ClipSidecar.Item]

    /// The clips of some answers about one recording, in time order; overlapping ones are merged.
    ///
    /// Answers without evidence have none.
    /// - Parameters:
    ///   - margin: seconds before and after the evidence.
    ///   - clock: converts the answers' times.
    static func plans(_ records: [AnswerRecord], margin: Double, clock: RecordingClock) -> [ClipPlan] {
        var plans: [ClipPlan] = []
        let items = records.flatMap { record in
            record.evidence.filter { $0.start <= $0.end }.map {
                ClipSidecar.Item(
                    question: record.question, questionID: record.questionID, answer: record.answer, evidence: $0,
                    model: record.model, created: record.created)
            }
        }
        for item in ClipSidecar.union(items, []) {
            let start = max(0, clock.fromFirstFrame(item.evidence.start) - margin)
            let end = max(start, clock.fromFirstFrame(item.evidence.end) + margin)
            if let last = plans.last, start <= last.end {
                plans[plans.count - 1].end = max(last.end, end)
                plans[plans.count - 1].items.append(item)
            } else {
                plans.append(ClipPlan(start: start, end: end, items: [item]))
            }
        }
        return plans
    }
}
