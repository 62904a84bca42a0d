import ArgumentParser
import Longtake

/// The option for the form of answers.
struct AnswerFormOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Form of the answer, for programs: yes_no, number, time, text, choice:A,B,C or json:SCHEMA.json. Given once, it \
            is that of all questions; given several times, that of the first, the second, …
            """, valueName: "form"),
        completion: .list(["yes_no", "number", "time", "text", "choice:", "json:"]))
    var answer: [String] = []

    /// A question of a file: its text, and the form after a tab.
    static func line(_ line: String) throws -> (text: String, form: AnswerForm?) {
        guard let tab = line.lastIndex(of: "\t") else { return (line, nil) }
        let form = line[line.index(after: tab)...].drop { $0 == " " }
        return (String(line[..<tab]), form.isEmpty ? nil : try Self.form(String(form)))
    }

    /// Sets the forms of questions that have none of their own.
    ///
    /// - Throws: a usage error for a number of forms that is neither one nor that of the questions; an error of a form.
    func apply(to questions: inout [Question]) throws {
        guard !answer.isEmpty else { return }
        let forms = try answer.map(Self.form)
        guard forms.count == 1 || forms.count == questions.count else {
            throw UsageError(
                "--answer is given \(forms.count) times for \(counted(questions.count, "question")): give it once for all "
                    + "of them, or once for each")
        }
        for index in questions.indices where questions[index].form == nil {
            questions[index].form = forms.count == 1 ? forms[0] : forms[index]
        }
    }

    private static func form(_ text: String) throws -> AnswerForm {
        try AnswerForm(text, cancellation: Interruption.cancellation)
    }
}
