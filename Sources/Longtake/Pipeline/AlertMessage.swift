internal import Foundation
internal import Store

/// The findings of a run: which alerts an answer, a file or the run itself sets off, and what they say.
struct AlertMessage {
    let file: PipelineFile
    let runID: String

    /// What is sent about an answer: its line in the outputs, and these keys.
    func findings(of row: Catalog.RunAnswerRow) -> [Catalog.AlertRow] {
        guard !file.alerts.isEmpty, !row.line.isEmpty,
            let record = try? JSONDecoder().decode(AnswerRecord.self, from: Data(row.line.utf8))
        else { return [] }
        return file.alerts.compactMap { alert in
            guard case .answer(let condition) = alert.trigger, condition.subject ?? row.questionID == row.questionID,
                condition.holds(
                    answer: record.answer, found: record.found, number: record.value?.number, score: record.bestScore)
            else { return nil }
            return finding(alert, key: row.key, fields: ["answer": .raw(row.line)])
        }
    }

    /// What is sent about a file that could not be indexed; once for each state of the file.
    func findings(path: String, stamp: String?, _ failure: Failure) -> [Catalog.AlertRow] {
        let key = ContentHash.sha256(Array("\(path)\u{0}\(stamp ?? runID)".utf8)).prefix(32)
        return file.alerts.filter { $0.trigger == .fileFailed }.compactMap {
            finding(
                $0, key: String(key),
                fields: ["path": .text(path), "error": .text(failure.code), "message": .text(failure.message)])
        }
    }

    /// What is sent about a run that ended with an error.
    func findings(_ failure: Failure) -> [Catalog.AlertRow] {
        file.alerts.filter { $0.trigger == .runFailed }.compactMap {
            finding($0, key: runID, fields: ["error": .text(failure.code), "message": .text(failure.message)])
        }
    }

    private enum Field { case text(String), raw(String) }

    private func finding(_ alert: PipelineAlert, key: String, fields: [String: Field]) -> Catalog.AlertRow? {
        var all = fields
        all["alert"] = .text(alert.id)
        all["pipeline"] = .text(file.identity)
        all["run_id"] = .text(runID)
        all["finding"] = .text(key)
        let parts = all.sorted { $0.key < $1.key }.compactMap { name, value -> String? in
            switch value {
            case .raw(let json): "\"\(name)\":\(json)"
            case .text(let text): (try? JSONText.line(text)).map { "\"\(name)\":\($0)" }
            }
        }
        return Catalog.AlertRow(
            pipeline: file.identity, key: key, alert: alert.id, run: runID, payload: "{\(parts.joined(separator: ","))}"
        )
    }
}
