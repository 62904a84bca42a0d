/// One line of a pipeline's output about a text search: the keys of an answer, as far as there is a value.
struct SearchLine: Encodable {
    let key: String
    let run: String
    let time: String
    let questionID: String
    /// The text.
    let question: String
    let recording: IndexedRecording
    let found: Searcher.RecordingMoments
    /// Start and end of the window; nil: the whole range was searched.
    let segment: [Double]?
    let model: String
    let notes: [String]

    /// The result as text: "2 moments".
    var answer: String {
        found.moments.isEmpty ? "no moment" : counted(found.moments.count, "moment")
    }

    private enum Key: String, CodingKey {
        case key, time, kind, question, answer, found, value, score, threshold, evidence, recording, frames, range,
            segment
        case model, created, notes, caution
        case run = "run_id"
        case questionID = "question_id"
        case rangeFromFirstFrame = "range_from_first_frame"
        case rangeClock = "range_clock"
        case segmentFromFirstFrame = "segment_from_first_frame"
        case segmentClock = "segment_clock"
    }

    func encode(to encoder: any Encoder) throws {
        let clock = found.manifest.clock
        func days(_ times: [Double]) -> [String]? { clock.wall.map { times.map($0.rfc3339) } }
        var keys = encoder.container(keyedBy: Key.self)
        try keys.encode(key, forKey: .key)
        try keys.encode(run, forKey: .run)
        try keys.encode(time, forKey: .time)
        try keys.encode(questionID, forKey: .questionID)
        try keys.encode(AnswerRecord.search, forKey: .kind)
        try keys.encode(question, forKey: .question)
        try keys.encode(answer, forKey: .answer)
        try keys.encode(!found.moments.isEmpty, forKey: .found)
        try keys.encode(found.moments.count, forKey: .value)
        try keys.encodeIfPresent(found.best, forKey: .score)
        try keys.encodeIfPresent(found.threshold, forKey: .threshold)
        try keys.encode(found.moments, forKey: .evidence)
        try keys.encode(
            Answer.RecordingReference(
                id: recording.id, path: recording.path, index: recording.index, camera: recording.camera,
                clock: recording.clock), forKey: .recording)
        try keys.encode(found.frames, forKey: .frames)
        if !found.range.isEmpty {
            try keys.encode(found.range, forKey: .range)
            try keys.encode(found.range.map(clock.fromFirstFrame), forKey: .rangeFromFirstFrame)
            try keys.encodeIfPresent(days(found.range), forKey: .rangeClock)
        }
        if let segment {
            try keys.encode(segment, forKey: .segment)
            try keys.encode(segment.map(clock.fromFirstFrame), forKey: .segmentFromFirstFrame)
            try keys.encodeIfPresent(days(segment), forKey: .segmentClock)
        }
        try keys.encode(model, forKey: .model)
        try keys.encode(time, forKey: .created)
        try keys.encode(notes, forKey: .notes)
        try keys.encode(Answer.caution, forKey: .caution)
    }
}
