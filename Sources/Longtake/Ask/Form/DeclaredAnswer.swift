internal import Checkpoints
internal import Tokenizers

/// An answer in a declared form: its value, and its text as it is always written.
package struct DeclaredAnswer {
    /// `yes` or `no`, a choice as declared, digits, `hh:mm:ss`, a line of text, or a JSON document.
    package let text: String
    /// What it means.
    package let value: AnswerValue
}

extension AnswerForm {
    /// The answer that a text of the form's grammar gives; nil if the text is not one.
    package func answer(_ text: String) -> DeclaredAnswer? {
        switch self {
        case .yesNo:
            guard case .bool(let value)? = spellings[text] else { return nil }
            return DeclaredAnswer(text: value ? "yes" : "no", value: .bool(value))
        case .choice:
            guard case .text(let choice)? = spellings[text] else { return nil }
            return DeclaredAnswer(text: choice, value: .text(choice))
        case .number:
            guard let value = NumberWord.values[text] ?? DecimalNumber(text)?.value else { return nil }
            return DeclaredAnswer(text: Self.digits(text, value), value: .number(value))
        case .time:
            guard text.contains(":"), let seconds = TimeText.seconds(text) else { return nil }
            return DeclaredAnswer(text: TimeText.clock(seconds), value: .number(seconds))
        case .text:
            var line = text[...]
            while line.last == " " { line.removeLast() }
            return line.isEmpty ? nil : DeclaredAnswer(text: String(line), value: .text(String(line)))
        case .json:
            guard var reader = try? JSONReader(Array(text.utf8)), let value = try? reader.value(),
                (try? reader.expectEnd()) != nil
            else { return nil }
            return DeclaredAnswer(text: text, value: AnswerValue(value))
        }
    }

    /// A number in digits, without zeros at the end of a fraction.
    private static func digits(_ text: String, _ value: Double) -> String {
        if let whole = Int64(exactly: value) { return "\(whole)" }
        var digits = text[...]
        while digits.last == "0" { digits.removeLast() }
        return String(digits)
    }
}
