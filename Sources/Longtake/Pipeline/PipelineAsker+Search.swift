internal import Foundation

extension PipelineAsker {
    /// Searches for the texts; an error of one leaves the others.
    func search(
        _ items: [Item], _ recording: IndexedRecording, _ values: PathTemplate.Values, _ failed: inout Set<String>,
        _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void, given: (String, Given) -> Void
    ) throws {
        for item in items {
            guard let search = item.question.search, let model = searchModel else { continue }
            if isOutOfTime(summary) {
                leftQuestions = true
                return
            }
            do {
                let searcher = try model.searcher.get()
                let found = try times.computing {
                    try searcher.moments(
                        of: item.question.text, inIndex: recording.index, from: item.from, to: item.to,
                        in: file.clock.selection, threshold: search.threshold, limit: search.limit)
                }
                let line = SearchLine(
                    key: item.key, run: summary.runID, time: Date().formatted(.iso8601), questionID: item.question.id,
                    question: item.question.text, recording: recording, found: found, segment: item.window,
                    model: searcher.model, notes: searcher.notes)
                let result = Given(
                    text: line.answer, found: !found.moments.isEmpty, number: Double(found.moments.count),
                    score: found.best)
                try keep(result, JSONText.line(line), item, recording, values, &summary, event, given: given)
            } catch {
                let failure = Failure(error, subject: recording.path)
                if failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
                fail([item.question], recording, failure, &failed, &summary, event)
            }
        }
    }
}
