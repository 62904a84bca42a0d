/// One line of a pipeline's output: the answer's own keys and these.
struct AnswerLine: Encodable {
    let key: String
    let run: String
    let time: String
    let questionID: String
    let answer: Answer

    private enum CodingKeys: String, CodingKey {
        case key, time
        case run = "run_id"
        case questionID = "question_id"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(key, forKey: .key)
        try container.encode(run, forKey: .run)
        try container.encode(time, forKey: .time)
        try container.encode(questionID, forKey: .questionID)
        try answer.encode(to: encoder)
    }
}
