internal import Foundation

/// A condition on an answer, such as `is not "nobody"`, `>= 3` or `found`.
package struct AnswerCondition: Sendable, Equatable {
    /// What is compared.
    enum Test: Sendable, Equatable {
        case found(Bool)
        case isText(String, Bool)
        case contains(String, Bool)
        case number(Comparison, Double)
        case score(Comparison, Double)
    }

    enum Comparison: String, Sendable, CaseIterable {
        case atLeast = ">="
        case atMost = "<="
        case notEqual = "!="
        case above = ">"
        case below = "<"
        case equal = "="

        func holds(_ a: Double, _ b: Double) -> Bool {
            switch self {
            case .atLeast: a >= b
            case .atMost: a <= b
            case .notEqual: a != b
            case .above: a > b
            case .below: a < b
            case .equal: a == b
            }
        }
    }

    /// The question whose answer is meant; nil: the condition names none.
    package let subject: String?
    let test: Test

    /// The accepted forms, for messages.
    package static let forms =
        "`people is \"yes\"`, `people is not \"nobody\"`, `people contains \"red\"`, `people >= 3`, `people score >= 0.3`, "
        + "`people found` or `people not found`"

    /// Parses a condition; nil if it has none of `forms`.
    ///
    /// - Parameter text: the question's ID, then the test; "the answer to" may precede the ID. Without an ID, or with
    ///   `answer`, `number` or `value` for it, the question is meant that the condition belongs to.
    /// - Parameter questions: the IDs of all questions. A first word that is one of them, with a test after it, is that
    ///   question, also if the word has another meaning without it.
    package init?(_ text: String, questions: [String] = []) {
        let whole = Substring(text.trimmingCharacters(in: .whitespaces))
        let prefix = ["the answer to ", "answer to "].first { whole.lowercased().hasPrefix($0) } ?? ""
        let rest = whole.dropFirst(prefix.count).drop { $0 == " " }
        for text in [whole, rest] {
            guard let (name, test) = Self.named(text), questions.contains(name) else { continue }
            (subject, self.test) = (name, test)
            return
        }
        if let test = Self.test(rest) {
            (subject, self.test) = (nil, test)
            return
        }
        guard let (name, test) = Self.named(rest) else { return nil }
        subject = ["answer", "number", "value"].contains(name) ? nil : name
        self.test = test
    }

    /// The first word and the test after it; nil if there is none.
    private static func named(_ text: Substring) -> (name: String, test: Test)? {
        guard let end = text.firstIndex(where: { $0 == " " || "<>=!".contains($0) }), end > text.startIndex,
            let test = test(text[end...].drop { $0 == " " })
        else { return nil }
        return (String(text[..<end]), test)
    }

    private static func test(_ text: Substring) -> Test? {
        switch text.split(separator: " ").joined(separator: " ").lowercased() {
        case "found", "is found": return .found(true)
        case "not found", "is not found": return .found(false)
        default: break
        }
        for (word, make) in [
            ("is not ", { Test.isText($0, false) }), ("is ", { .isText($0, true) }),
            ("does not contain ", { .contains($0, false) }), ("contains ", { .contains($0, true) }),
        ] as [(String, (String) -> Test)] where text.lowercased().hasPrefix(word) {
            return quoted(text.dropFirst(word.count)).map(make)
        }
        if text.lowercased().hasPrefix("score") {
            return comparison(text.dropFirst(5).drop { $0 == " " }).map { .score($0, $1) }
        }
        return comparison(text).map { .number($0, $1) }
    }

    private static func comparison(_ text: Substring) -> (Comparison, Double)? {
        for comparison in Comparison.allCases where text.hasPrefix(comparison.rawValue) {
            let number = text.dropFirst(comparison.rawValue.count).trimmingCharacters(in: .whitespaces)
            return DecimalNumber(number).map { (comparison, $0.value) }
        }
        return nil
    }

    /// A text in quotes, or one without quotes and spaces.
    private static func quoted(_ text: Substring) -> String? {
        let text = text.trimmingCharacters(in: .whitespaces)
        if let quote = text.first, quote == "\"" || quote == "'" {
            guard text.count >= 2, text.last == quote else { return nil }
            return String(text.dropFirst().dropLast())
        }
        return text.isEmpty || text.contains(" ") ? nil : text
    }

    /// Whether an answer meets the condition.
    ///
    /// - Parameters:
    ///   - answer: the answer's text; compared without case, surrounding spaces and a final period.
    ///   - found: false if the answer was read from no frame.
    ///   - number: the answer's number; nil: the first number in its text.
    ///   - score: the best frame's score of a search, else the strongest evidence's; nil: there is none.
    package func holds(answer: String, found: Bool, number: Double? = nil, score: Double? = nil) -> Bool {
        switch test {
        case .found(let wanted): found == wanted
        case .isText(let text, let wanted): (Self.plain(answer) == Self.plain(text)) == wanted
        case .contains(let text, let wanted): Self.plain(answer).contains(Self.plain(text)) == wanted
        case .number(let comparison, let limit):
            (number ?? Self.firstNumber(answer)).map { comparison.holds($0, limit) } ?? false
        case .score(let comparison, let limit): score.map { comparison.holds($0, limit) } ?? false
        }
    }

    private static func plain(_ text: String) -> String {
        var plain = text.lowercased().trimmingCharacters(in: .whitespacesAndNewlines)
        if plain.hasSuffix(".") { plain.removeLast() }
        return plain
    }

    private static let numberWords = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ]

    /// The first number in a text, in digits or as a word up to ten.
    static func firstNumber(_ text: String) -> Double? {
        for word in text.lowercased().split(whereSeparator: { !($0.isLetter || $0.isNumber || "-.".contains($0)) }) {
            let word = word.trimmingCharacters(in: CharacterSet(charactersIn: "."))
            if let value = DecimalNumber(word)?.value { return value }
            if word == "zero" || word == "none" || word == "nobody" { return 0 }
            if let value = numberWords.firstIndex(of: word) { return Double(value) }
        }
        return nil
    }
}
