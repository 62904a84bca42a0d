internal import Hub
internal import Yams

/// A condition on an answer or on the run, and what is told about it.
package struct PipelineAlert: Sendable {
    /// What makes it fire.
    enum Trigger: Sendable, Equatable {
        /// The answer to the condition's question meets it.
        case answer(AnswerCondition)
        /// The run ended with an error.
        case runFailed
        /// A file could not be indexed.
        case fileFailed
    }

    /// What is done.
    enum Action: Sendable {
        /// A program with its arguments, which gets the message on its standard input.
        case command([String])
        case webhook(Webhook)
    }

    /// Unique in the file; "alert1", "alert2", … by default.
    package let id: String
    let trigger: Trigger
    let action: Action
    /// Where it goes: the command or the address. Several alerts may go to one place.
    var receiver: String {
        switch action {
        case .command(let words): words.joined(separator: "\0")
        case .webhook(let webhook): webhook.url
        }
    }
    /// Seconds until a command or a request is ended.
    let timeout: Double

    /// The alerts of a pipeline, checked.
    static func read(_ top: PipelineKeys, questions: [PipelineQuestion]) throws -> [PipelineAlert] {
        guard let list = top.mapping["alerts"] else { return [] }
        guard let sequence = list.sequence else { throw top.bad("`alerts` must be a list", list) }
        var alerts: [PipelineAlert] = []
        for (index, node) in sequence.enumerated() {
            guard let mapping = node.mapping else {
                throw top.bad("an alert must be a mapping with `when`, and `command` or `webhook`", node)
            }
            let keys = PipelineKeys(path: top.path, mapping: mapping, where: "in alert \(index + 1)")
            try keys.allow(["id", "when", "command", "webhook", "secret", "timeout"])
            let id = try keys.string("id") ?? "alert\(index + 1)"
            guard !alerts.contains(where: { $0.id == id }) else {
                throw top.bad("two alerts have the same id; each `id` must be unique", node)
            }
            let timeout = try keys.duration("timeout") ?? 30
            guard timeout > 0, timeout <= 3600 else {
                throw keys.bad("`timeout` must be above 0 and at most 1h", mapping["timeout"])
            }
            alerts.append(
                PipelineAlert(
                    id: id, trigger: try trigger(keys, questions, node),
                    action: try action(keys, timeout, node), timeout: timeout))
        }
        return alerts
    }

    private static func trigger(_ keys: PipelineKeys, _ questions: [PipelineQuestion], _ node: Node) throws -> Trigger {
        guard let text = try keys.string("when") else { throw keys.bad("an alert: `when` is missing", node) }
        switch text.split(separator: " ").joined(separator: " ") {
        case "run failed": return .runFailed
        case "file failed": return .fileFailed
        default: break
        }
        guard let condition = AnswerCondition(text, questions: questions.map(\.id)) else {
            throw keys.bad(
                "`when` must be `run failed`, `file failed` or a condition: \(AnswerCondition.forms)",
                keys.mapping["when"])
        }
        // Without a name, the answers to all questions are meant.
        if let subject = condition.subject, !questions.contains(where: { $0.id == subject }) {
            let hint = Spelling.suggestion(for: subject, among: questions.map(\.id)).map { "; did you mean `\($0)`?" }
            throw keys.bad("`when` names `\(subject)`, which is no question\(hint ?? "")", keys.mapping["when"])
        }
        return .answer(condition)
    }

    private static func action(_ keys: PipelineKeys, _ timeout: Double, _ node: Node) throws -> Action {
        let (command, address) = (try keys.strings("command"), try keys.string("webhook"))
        guard (command == nil) != (address == nil) else {
            throw keys.bad("an alert needs either `command` or `webhook`", node)
        }
        if let command { return .command(command) }
        do {
            return .webhook(try Webhook(url: address ?? "", secret: try keys.string("secret"), timeout: timeout))
        } catch let error as HubError {
            throw keys.bad("`webhook`: \(error.message)", keys.mapping["webhook"])
        }
    }
}
