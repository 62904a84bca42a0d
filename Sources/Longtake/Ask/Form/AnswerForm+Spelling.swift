extension AnswerForm {
    /// The texts that a model may write for yes or no, or for a choice, each with its meaning.
    ///
    /// The first letter may be a capital or not, and an English article may stand before a choice: what comes naturally
    /// to a model is not worth an unlikely token.
    var spellings: [String: AnswerValue] {
        var spellings: [String: AnswerValue] = [:]
        func add(_ text: String, _ value: AnswerValue) {
            if spellings[text] == nil { spellings[text] = value }
        }
        switch self {
        case .yesNo:
            for text in ["yes", "Yes", "YES"] { add(text, .bool(true)) }
            for text in ["no", "No", "NO"] { add(text, .bool(false)) }
        case .choice(let choices):
            // As declared first, then with another first letter: no looser spelling may hide a closer one.
            for choice in choices { add(choice, .text(choice)) }
            for choice in choices { for text in Self.bothCases(choice) { add(text, .text(choice)) } }
            for choice in choices {
                let bare = Self.articles.first { choice.hasPrefix($0) }.map { String(choice.dropFirst($0.count)) }
                for text in bare.map({ [$0] }) ?? Self.articles.map({ $0 + choice }) where !text.isEmpty {
                    for spelled in Self.bothCases(text) { add(spelled, .text(choice)) }
                }
            }
        default: break
        }
        return spellings
    }

    private static let articles = ["a ", "an ", "the "]

    /// The text with a small and with a capital first letter.
    static func bothCases(_ text: String) -> [String] {
        [text.prefix(1).lowercased() + text.dropFirst(), text.prefix(1).uppercased() + text.dropFirst()]
    }
}

/// The English number words up to a hundred.
enum NumberWord {
    private static let small = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    ]
    private static let tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

    /// Each word with its value; "none" is 0.
    static let values: [String: Double] = {
        var values: [String: Double] = ["none": 0, "one hundred": 100, "a hundred": 100]
        for (value, word) in small.enumerated() { values[word] = Double(value) }
        for (index, word) in tens.enumerated() {
            let ten = Double(index + 2) * 10
            values[word] = ten
            for one in 1...9 {
                for between in ["-", " "] { values[word + between + small[one]] = ten + Double(one) }
            }
        }
        for (word, value) in values {
            for spelled in AnswerForm.bothCases(word) { values[spelled] = value }
        }
        return values
    }()

    static let spellings = values.keys.sorted()
}
