package import Foundation

/// Selects which of a recording's answers are exported.
package struct AnswerFilter: Sendable {
    /// Texts or IDs of the questions; empty: all.
    package var questions: [String] = []
    /// The model's name; nil: any.
    package var model: String?
    /// Only answers given at or after this time; answers without a time are then left out.
    package var since: Date?
    /// Only the latest of several answers by one model to the same question about the same range.
    package var latest = true

    /// A filter for the latest answers to all questions.
    package init() {}

    /// The records that pass the filter.
    ///
    /// - Throws: `LongtakeError` `bad_request` if none do, with the values that exist.
    package func apply(to records: [AnswerRecord]) throws -> [AnswerRecord] {
        let texts = Set(questions.map(Self.plain))
        let ofQuestions = records.filter {
            questions.isEmpty || texts.contains(Self.plain($0.question))
                || $0.questionID.map(questions.contains) == true
        }
        guard !ofQuestions.isEmpty || records.isEmpty else {
            throw Self.noAnswer("to these questions", "questions asked", records.map(\.question))
        }
        let ofModel = ofQuestions.filter { model == nil || $0.model == model }
        guard !ofModel.isEmpty || ofQuestions.isEmpty else {
            throw Self.noAnswer("of the model \(model ?? "")", "models that answered", ofQuestions.map(\.model))
        }
        let recent = ofModel.filter { record in
            since.map { since in Self.date(record.created).map { $0 >= since } ?? false } ?? true
        }
        guard !recent.isEmpty || ofModel.isEmpty else {
            throw Self.noAnswer("since then", "time of the last answer", [ofModel.map(\.created).max() ?? ""])
        }
        return latest ? Self.latest(of: recent) : recent
    }

    /// Two answers with equal keys answer the same question about the same range.
    private struct Key: Hashable {
        let recording: String
        let question: String
        let model: String
        let range: [Double]
    }

    private static func latest(of records: [AnswerRecord]) -> [AnswerRecord] {
        var last: [Key: Int] = [:]
        for (index, record) in records.enumerated() {
            let key = Key(
                recording: record.recording, question: plain(record.question), model: record.model,
                range: record.segment ?? record.range ?? [])
            if let known = last[key], records[known].created > record.created { continue }
            last[key] = index
        }
        return last.values.sorted().map { records[$0] }
    }

    private static func plain(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased()
    }

    private static func noAnswer(_ what: String, _ listed: String, _ names: [String]) -> LongtakeError {
        var known: [String] = []
        for name in names where !known.contains(name) && known.count < 5 { known.append(String(name.prefix(100))) }
        return LongtakeError(
            code: .badRequest, message: "no answer \(what); \(listed): \(known.joined(separator: ", "))")
    }

    /// Parses "2026-11-29", "2026-11-29T04:00:00Z" or a duration before `now`, such as 2d or 90m; nil if invalid.
    package static func instant(_ text: String, now: Date = Date()) -> Date? {
        if let date = date(text) { return date }
        guard let seconds = TimeText.seconds(text), seconds <= AnswerRecord.lastSecond, text.last?.isLetter == true
        else {
            return nil
        }
        return now.addingTimeInterval(-seconds)
    }

    /// Parses RFC 3339, also without seconds or offset (then UTC), or a date alone: its start in UTC; nil if invalid.
    static func date(_ text: String) -> Date? {
        ClockTime(text).map { Date(timeIntervalSince1970: $0.instant(in: .utc).seconds) }
    }
}
