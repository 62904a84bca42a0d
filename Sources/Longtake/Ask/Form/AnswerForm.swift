internal import Checkpoints

/// The form that an answer must have, so that a program can use it.
///
/// Each token is chosen among those that keep the answer in its form, so that every answer has it, whatever the model.
public enum AnswerForm: Sendable, Hashable {
    /// Yes or no.
    case yesNo
    /// One of these texts: 1 to 200, each of 1 to 100 bytes.
    case choice([String])
    /// A number: digits, or an English number word up to a hundred.
    case number
    /// A time in the recording: `12:30` or `1:12:30`.
    case time
    /// A line of text, not empty, of at most 1,000 characters.
    case text
    /// A JSON document of this schema.
    case json(AnswerSchema)

    /// The name of a form, as answers state it.
    public enum Name: String, Sendable, Codable, CaseIterable {
        case yesNo = "yes_no"
        case number, time, text, choice, json
    }

    /// The form's name.
    public var name: Name {
        switch self {
        case .yesNo: .yesNo
        case .choice: .choice
        case .number: .number
        case .time: .time
        case .text: .text
        case .json: .json
        }
    }

    /// Identifies the form: equal for equal forms, different for others.
    package var key: String {
        switch self {
        case .choice(let choices): "choice:" + JSONValue.array(choices.map { .string($0) }).text()
        case .json(let schema): "json:" + schema.key
        default: name.rawValue
        }
    }

    /// Most choices.
    static let choiceLimit = 200
    /// Most bytes of a choice.
    static let choiceBytes = 100
    /// Most characters of a line of text.
    static let textLimit = 1000

    /// The problem with the choices; nil if there is none.
    static func fault(ofChoices choices: [String]) -> String? {
        guard (1...choiceLimit).contains(choices.count) else {
            return "there are \(counted(choices.count, "choice")); give 1 to \(choiceLimit)"
        }
        for choice in choices {
            let isPlain = choice.unicodeScalars.allSatisfy {
                $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0.value != 0x2028 && $0.value != 0x2029
            }
            guard !choice.isEmpty, choice.utf8.count <= choiceBytes, isPlain, choice.first != " ", choice.last != " "
            else {
                return "the choice \(JSONValue.quoted(choice)) must be 1 to \(choiceBytes) bytes on one line, without "
                    + "spaces at its ends"
            }
        }
        var seen: Set<String> = []
        if let twice = choices.first(where: { !seen.insert($0).inserted }) {
            return "the choice \(JSONValue.quoted(twice)) is there twice"
        }
        return nil
    }
}
