internal import Checkpoints
internal import Foundation

extension AnswerForm {
    /// The forms that are named without anything else.
    private static let plain: [String: AnswerForm] = [
        "yes_no": .yesNo, "number": .number, "time": .time, "text": .text,
    ]
    private static let names = Name.allCases.map(\.rawValue)

    /// Parses a form as it is written on a command line: `yes_no`, `number`, `time`, `text`, `choice:A,B,C`,
    /// `choice:["A","B"]`, `json:FILE` or `json:{…}`.
    ///
    /// - Throws: `LongtakeError` `bad_request` that says what is wrong and where; `interrupted`.
    package init(_ text: String, cancellation: Cancellation = Cancellation()) throws {
        let name = String(text.prefix { $0 != ":" })
        let rest = text.dropFirst(name.count + 1)
        if let form = Self.plain[text] {
            self = form
        } else if name == "choice", !rest.isEmpty {
            self = try Self.located("the choices") { () throws(FormFault) in
                guard rest.first == "[" else {
                    let choices = rest.split(separator: ",", omittingEmptySubsequences: false)
                    return try Self.choice(choices.map { $0.trimmingCharacters(in: .whitespaces) }, nil)
                }
                return try Self.choice(FormSource(json: Array(rest.utf8)))
            }
        } else if name == "json", !rest.isEmpty {
            let isInline = rest.first == "{"
            let bytes =
                try isInline
                ? Array(rest.utf8) : FileBytes(path: String(rest), cancellation: cancellation).all(limit: 1 << 20)
            guard let bytes else {
                throw LongtakeError(
                    code: .badRequest, message: "\(rest): longer than \(1 << 20) bytes, the limit of a schema")
            }
            self = try Self.located(isInline ? "the schema" : String(rest)) { () throws(FormFault) in
                .json(try AnswerSchema(FormSource(json: bytes)))
            }
        } else {
            throw LongtakeError(code: .badRequest, message: "invalid form of an answer: \(Self.unknown(text, name))")
        }
    }

    /// Parses a form as it is written in a file: a name, `{choice: […]}` or `{json: {…}}`.
    init(_ source: FormSource) throws(FormFault) {
        if let text = source.text {
            guard let form = Self.plain[text] else { throw source.fault(Self.unknown(text, text)) }
            self = form
            return
        }
        guard let map = source.map, let member = map.first, let name = member.key.text else {
            throw source.fault("a form must be one of \(Self.list)")
        }
        guard map.count == 1 else { throw map[1].key.fault("a form has one key, choice or json") }
        switch name {
        case "choice": self = try Self.choice(member.value)
        case "json": self = .json(try AnswerSchema(member.value))
        default: throw member.key.fault(Self.unknown(name, name))
        }
    }

    private static let list = "yes_no, number, time, text, choice (with its texts) or json (with a schema)"

    private static func unknown(_ text: String, _ name: String) -> String {
        if name == "choice" { return "a choice needs its texts" }
        if name == "json" { return "json needs a schema" }
        if plain[name] != nil { return "\(name) takes nothing after it" }
        let near = Spelling.suggestion(for: name, among: names).map { "; did you mean \($0)?" } ?? ""
        return "unknown form \(JSONValue.quoted(text)); use \(list)\(near)"
    }

    private static func choice(_ source: FormSource) throws(FormFault) -> AnswerForm {
        guard let list = source.list else { throw source.fault("the choices must be a list of texts") }
        var choices: [String] = []
        for entry in list {
            guard let text = entry.text else {
                throw entry.fault("a choice must be text" + (entry.number == nil ? "" : "; put it in quotes"))
            }
            choices.append(text)
        }
        return try choice(choices, source)
    }

    private static func choice(_ choices: [String], _ source: FormSource?) throws(FormFault) -> AnswerForm {
        if let fault = fault(ofChoices: choices) {
            throw source?.fault(fault) ?? FormFault(line: 0, column: 0, reason: fault)
        }
        return .choice(choices)
    }

    private static func located(_ name: String, _ parse: () throws(FormFault) -> AnswerForm) throws -> AnswerForm {
        do {
            return try parse()
        } catch {
            throw LongtakeError(code: .badRequest, message: "\(name): \(error)")
        }
    }
}
