internal import Foundation
internal import Store

/// An answer about a recording as it is stored and exported.
package struct AnswerRecord: Sendable, Codable, Equatable {
    /// The recording's ID.
    package var recording: String
    /// Where the file was when asked about.
    package var path: String
    /// The question's text.
    package var question: String
    /// The pipeline's ID for the question.
    package var questionID: String?
    /// "search" for the moments of a text search, whose question is the text; nil for an answer.
    package var kind: String?
    /// The answer's text.
    package var answer: String
    /// False if the answer was read from no frame.
    package var found: Bool
    /// The form that the question declared; nil: free text.
    package var form: String?
    /// The value of an answer in a form, or the number of moments; nil: free text, or there is no answer.
    package var value: AnswerValue?
    /// The best frame's score of a search, whether or not it is in a moment; nil for an answer.
    package var score: Double?
    /// The intervals the answer was read from, strongest first.
    package var evidence: [Evidence]
    /// Start and end of the window asked about, in seconds on the file's timeline; nil: all or a range of the file.
    package var segment: [Double]?
    /// `segment` in seconds from the first frame, if known.
    package var segmentFromFirstFrame: [Double]?
    /// Times of the first and the last frame in seconds on the file's timeline; nil if not stored.
    package var range: [Double]?
    /// `range` in seconds from the first frame.
    package var rangeFromFirstFrame: [Double]?
    /// The camera's name; nil if unknown.
    package var camera: String?
    /// When it was recorded; nil if unknown.
    package var clock: RecordedTime?
    /// `segment` as times of day, RFC 3339; nil if the recording's start is unknown.
    package var segmentClock: [String]?
    /// `range` as times of day.
    package var rangeClock: [String]?
    /// When the answer was given, RFC 3339; empty if not stored.
    package var created: String
    /// The model's name; empty if not stored.
    package var model: String

    /// A record from its values; `segmentFromFirstFrame` defaults to `segment`.
    package init(
        recording: String, path: String, question: String, answer: String, found: Bool = true,
        evidence: [Evidence] = [],
        segment: [Double]? = nil, segmentFromFirstFrame: [Double]? = nil, created: String = "", model: String = ""
    ) {
        self.recording = recording
        self.path = path
        self.question = question
        self.answer = answer
        self.found = found
        self.evidence = evidence
        self.segment = segment
        self.segmentFromFirstFrame = segmentFromFirstFrame ?? segment
        self.created = created
        self.model = model
    }

    /// The record of an answer just given.
    package init(_ answer: Answer) {
        self.init(
            recording: answer.recording.id, path: answer.recording.path, question: answer.question,
            answer: answer.answer,
            found: answer.found, evidence: answer.evidence, segment: answer.segment,
            segmentFromFirstFrame: answer.segmentFromFirstFrame, created: answer.created, model: answer.model)
        (range, rangeFromFirstFrame) = (answer.range, answer.rangeFromFirstFrame)
        (form, value) = (answer.form?.rawValue, answer.value)
        (camera, clock) = (answer.recording.camera, answer.recording.clock)
        (segmentClock, rangeClock) = (answer.segmentClock, answer.rangeClock)
    }

    /// `kind` of a text search.
    static let search = "search"
    /// True for a text search.
    var isSearch: Bool { kind == Self.search }
    /// The score of a search, else of the strongest evidence; nil if there is none.
    var bestScore: Double? { score ?? evidence.first?.score }

    /// The same record with all times on another clock.
    ///
    /// - Parameter fromFirst: convert from the times from the first frame; false: keep the file's times.
    func placed(on clock: RecordingClock, fromFirst: Bool) -> AnswerRecord {
        var placed = self
        placed.evidence = evidence.map { $0.placed(on: clock, fromFirst: fromFirst) }
        if fromFirst { placed.segment = (segmentFromFirstFrame ?? segment)?.map(clock.fileTime) }
        if fromFirst { placed.range = (rangeFromFirstFrame ?? range)?.map(clock.fileTime) }
        placed.rangeFromFirstFrame = placed.range?.map(clock.fromFirstFrame)
        placed.segmentFromFirstFrame = placed.segment?.map(clock.fromFirstFrame)
        placed.segmentClock = clock.wall.flatMap { wall in placed.segment?.map(wall.rfc3339) }
        placed.rangeClock = clock.wall.flatMap { wall in placed.range?.map(wall.rfc3339) }
        return placed
    }

    /// The intervals the answer belongs to: its evidence in time order, else its window; empty if it has neither.
    package var intervals: [ClosedRange<Double>] { timedIntervals.map(\.interval) }

    /// The same with start and end as times of day, RFC 3339; none where the recording's start is unknown.
    var timedIntervals: [(interval: ClosedRange<Double>, days: [String])] {
        // A window in which a search found nothing is no moment.
        if let segment, segment.count == 2, segment[0] <= segment[1], evidence.isEmpty, !isSearch {
            return [(segment[0]...segment[1], segmentClock ?? [])]
        }
        return evidence.filter { $0.start <= $0.end }.sorted { $0.start < $1.start }.map {
            ($0.start...$0.end, [$0.startClock, $0.endClock].compactMap(\.self))
        }
    }

    /// The largest time that is accepted, in seconds: 31 years.
    static let lastSecond = 1e9

    /// Checks the times and scores of a record that was read from a file.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a time that is negative, above `lastSecond` or after its interval's
    ///   end, and for a score that is not finite.
    func validate(_ what: String = "an answer") throws {
        let spans = evidence.map { [$0.start, $0.end] } + (segment.map { [$0] } ?? [])
        for span in spans {
            for time in span where !(0...Self.lastSecond).contains(time) {
                throw LongtakeError(
                    code: .badRequest,
                    message: "\(what) has a time of \(time) s; use 0 to \(TimeText.number(Self.lastSecond)) s")
            }
            guard span.count == 2, span[0] <= span[1] else {
                throw LongtakeError(code: .badRequest, message: "\(what) has an interval whose end is before its start")
            }
        }
        for one in evidence where !one.score.isFinite {
            throw LongtakeError(code: .badRequest, message: "\(what) has a score of \(one.score)")
        }
    }

    /// The same record with the times and the camera that the library knows now.
    func placed(in recording: RecordingSummary, fromFirst: Bool) -> AnswerRecord {
        var placed = placed(on: recording.clock, fromFirst: fromFirst)
        (placed.camera, placed.clock) = (recording.camera, recording.recorded)
        return placed
    }

    private enum Key: String, CodingKey {
        case recording, path, question, answer, found, evidence, segment, created, time, model, id, camera, clock
        case segmentClock = "segment_clock"
        case rangeClock = "range_clock"
        case segmentFromFirstFrame = "segment_from_first_frame"
        case range, form, value, kind, score
        case rangeFromFirstFrame = "range_from_first_frame"
        case questionID = "question_id"
    }

    /// Decodes what `encode`, `ask --json` and `run` write.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        if let reference = try? values.nestedContainer(keyedBy: Key.self, forKey: .recording) {
            recording = try reference.decode(String.self, forKey: .id)
            path = try reference.decodeIfPresent(String.self, forKey: .path) ?? ""
            camera = try? reference.decodeIfPresent(String.self, forKey: .camera)
            clock = try? reference.decodeIfPresent(RecordedTime.self, forKey: .clock)
        } else {
            recording = try values.decode(String.self, forKey: .recording)
            path = try values.decodeIfPresent(String.self, forKey: .path) ?? ""
            camera = try? values.decodeIfPresent(String.self, forKey: .camera)
            clock = try? values.decodeIfPresent(RecordedTime.self, forKey: .clock)
        }
        segmentClock = try? values.decodeIfPresent([String].self, forKey: .segmentClock)
        rangeClock = try? values.decodeIfPresent([String].self, forKey: .rangeClock)
        question = try values.decode(String.self, forKey: .question)
        answer = try values.decode(String.self, forKey: .answer)
        found = try values.decodeIfPresent(Bool.self, forKey: .found) ?? true
        form = try values.decodeIfPresent(String.self, forKey: .form)
        value = try values.decodeIfPresent(AnswerValue.self, forKey: .value)
        kind = try values.decodeIfPresent(String.self, forKey: .kind)
        score = try values.decodeIfPresent(Double.self, forKey: .score)
        evidence = try values.decodeIfPresent([Evidence].self, forKey: .evidence) ?? []
        segment = try values.decodeIfPresent([Double].self, forKey: .segment)
        range = try values.decodeIfPresent([Double].self, forKey: .range)
        rangeFromFirstFrame = try values.decodeIfPresent([Double].self, forKey: .rangeFromFirstFrame)
        questionID = try values.decodeIfPresent(String.self, forKey: .questionID)
        segmentFromFirstFrame = try values.decodeIfPresent([Double].self, forKey: .segmentFromFirstFrame)
        created =
            try values.decodeIfPresent(String.self, forKey: .created)
            ?? values.decodeIfPresent(String.self, forKey: .time) ?? ""
        model = try values.decodeIfPresent(String.self, forKey: .model) ?? ""
    }

    /// Encodes the record with its recording as an ID.
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(recording, forKey: .recording)
        try values.encode(path, forKey: .path)
        try values.encode(question, forKey: .question)
        try values.encode(answer, forKey: .answer)
        try values.encode(found, forKey: .found)
        try values.encodeIfPresent(form, forKey: .form)
        try values.encodeIfPresent(value, forKey: .value)
        try values.encodeIfPresent(kind, forKey: .kind)
        try values.encodeIfPresent(score, forKey: .score)
        try values.encode(evidence, forKey: .evidence)
        try values.encodeIfPresent(segment, forKey: .segment)
        try values.encodeIfPresent(range, forKey: .range)
        try values.encodeIfPresent(rangeFromFirstFrame, forKey: .rangeFromFirstFrame)
        try values.encodeIfPresent(questionID, forKey: .questionID)
        try values.encodeIfPresent(segmentFromFirstFrame, forKey: .segmentFromFirstFrame)
        try values.encodeIfPresent(camera, forKey: .camera)
        try values.encodeIfPresent(clock, forKey: .clock)
        try values.encodeIfPresent(segmentClock, forKey: .segmentClock)
        try values.encodeIfPresent(rangeClock, forKey: .rangeClock)
        try values.encode(created, forKey: .created)
        try values.encode(model, forKey: .model)
    }
}

extension AnswerRecord {
    /// Limit of one line, and of a document that is not written line by line.
    private static let maxBytes = 64 << 20

    /// The answers in a file written by `ask --json` or `run`: one document, a list, or one object per line.
    ///
    /// Lines with other objects (status, summary, ranking) are skipped. A file of lines is streamed: only the records
    /// that `isWanted` accepts are kept in memory.
    /// - Throws: `LongtakeError` `bad_request` for a file that cannot be read or has no answer in it; `interrupted`.
    package static func read(
        _ path: String, cancellation: Cancellation = Cancellation(),
        where isWanted: (AnswerRecord) -> Bool = { _ in true }
    ) throws -> [AnswerRecord] {
        var lines = FileLines(try FileBytes(path: path, cancellation: cancellation), limit: maxBytes)
        let decoder = JSONDecoder()
        var found: [AnswerRecord] = []
        var (number, answers) = (0, 0)
        var bad: Int?
        // If the first line is not complete JSON, the file may be one document on many lines.
        var document: Data?
        var isFirst = true
        while let slice = try lines.next() {
            number += 1
            let line = Data(slice)
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            if isFirst {
                isFirst = false
                if let all = try? decoder.decode([AnswerRecord].self, from: line) {
                    (found, answers) = (all.filter(isWanted), all.count)
                    continue
                }
                if (try? JSONSerialization.jsonObject(with: line)) == nil { document = Data() }
            }
            document?.append(line + [0x0A])
            if let size = document?.count, size > maxBytes { document = nil }
            if let record = try? decoder.decode(AnswerRecord.self, from: line) {
                answers += 1
                if isWanted(record) { found.append(record) }
            } else if bad == nil, looksLikeAnswer(line) {
                bad = number
            }
        }
        if let document {
            if let one = try? decoder.decode(AnswerRecord.self, from: document) { return [one].filter(isWanted) }
            if let all = try? decoder.decode([AnswerRecord].self, from: document) { return all.filter(isWanted) }
        }
        if let bad {
            throw LongtakeError(
                code: .badRequest,
                message: "\(path): line \(bad) is not an answer in JSON: a key is missing or a value is invalid",
                remedy: .writeAnswers)
        }
        guard answers > 0 else {
            throw LongtakeError(
                code: .badRequest, message: "\(path): no answers found; it must be JSON lines", remedy: .writeAnswers)
        }
        return found
    }
}

extension AnswerRecord {
    /// False for other objects of `ask` and `run`, and for the half line that a killed run leaves.
    private static func looksLikeAnswer(_ line: Data) -> Bool {
        if let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any] {
            return object["question"] != nil && object["answer"] != nil
        }
        // Lines with NaN or Infinity, which are not JSON.
        let text = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespaces)
        return text.hasPrefix("{") && text.hasSuffix("}") && text.contains("\"question\"")
            && text.contains("\"answer\"") && !text.contains("\"message_type\"")
    }
}

/// What a stored answer is about, in seconds from the first frame: the JSON in the catalog's `segment` column.
struct AnswerScope: Codable {
    var segment: [Double]?
    var range: [Double]?
    var questionID: String?
    var form: String?
    var value: AnswerValue?

    private enum CodingKeys: String, CodingKey {
        case segment, range, form, value
        case questionID = "question_id"
    }

    init(segment: [Double]?, range: [Double]?, questionID: String?) {
        (self.segment, self.range, self.questionID) = (segment, range, questionID)
    }

    /// Parses the column; earlier versions stored only the segment's start and end.
    init(_ text: String) {
        let decoder = JSONDecoder()
        self =
            (try? decoder.decode(Self.self, from: Data(text.utf8)))
            ?? Self(segment: try? decoder.decode([Double].self, from: Data(text.utf8)), range: nil, questionID: nil)
    }
}

extension Library {
    /// Stores an answer in the catalog; a failure is ignored, since the answer has been given.
    func remember(_ answer: Answer, questionID: String? = nil) {
        guard let index = answer.recording.index, !answer.tokenIDs.isEmpty else { return }
        let encoder = JSONEncoder()
        func text(_ value: some Encodable) -> String? {
            (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) }
        }
        var scope = AnswerScope(
            segment: answer.segmentFromFirstFrame, range: answer.rangeFromFirstFrame, questionID: questionID)
        (scope.form, scope.value) = (answer.form?.rawValue, answer.value)
        try? catalog.record(
            answer: Catalog.AnswerRow(
                id: "answer_" + UUID().uuidString.lowercased(), indexID: index, created: answer.created,
                question: answer.question, answer: answer.answer, found: answer.found,
                evidence: text(answer.evidence) ?? "[]",
                segment: text(scope), model: answer.model))
    }

    /// The stored answers about an indexed recording, oldest first.
    ///
    /// The catalog's times are from the first frame; they are converted to the file's timeline with the index's clock.
    package func answers(about recording: RecordingSummary) throws -> [AnswerRecord] {
        let decoder = JSONDecoder()
        return try catalog.answers(indexID: recording.index).map { row in
            let scope = row.segment.map { AnswerScope($0) }
            var record = AnswerRecord(
                recording: recording.id, path: recording.path, question: row.question, answer: row.answer,
                found: row.found,
                evidence: (try? decoder.decode([Evidence].self, from: Data(row.evidence.utf8))) ?? [],
                segment: scope?.segment, created: row.created, model: row.model)
            record.range = scope?.range
            record.questionID = scope?.questionID
            (record.form, record.value) = (scope?.form, scope?.value)
            return record.placed(in: recording, fromFirst: true)
        }
    }

    /// The answers about a recording in a file; see `AnswerRecord.read`.
    ///
    /// - Throws: `LongtakeError` `bad_request` as `read`, and for times that no recording has.
    package func answers(
        in path: String, about recording: RecordingSummary, cancellation: Cancellation = Cancellation()
    ) throws -> [AnswerRecord] {
        let found = try AnswerRecord.read(path, cancellation: cancellation) { $0.recording == recording.id }
        for record in found { try record.validate("\(path): an answer") }
        return found.map { $0.placed(in: recording, fromFirst: false) }
    }
}
