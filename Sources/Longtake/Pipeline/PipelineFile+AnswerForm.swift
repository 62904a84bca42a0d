internal import Yams

extension PipelineFile {
    /// The form of a question's answer: `answer: yes_no`, `answer: {choice: [a, b]}` or `answer: {json: {type: …}}`.
    ///
    /// - Parameter node: the value of the key; nil: it is not there.
    /// - Throws: `LongtakeError` `bad_pipeline` with line and column.
    static func answerForm(_ node: Node?, _ path: String) throws -> AnswerForm? {
        guard let node else { return nil }
        do {
            return try AnswerForm(FormSource(node))
        } catch {
            let place = error.line > 0 ? ":\(error.line):\(error.column)" : ""
            throw LongtakeError(code: .badPipeline, message: "\(path)\(place): `answer`: \(error.reason)")
        }
    }
}
