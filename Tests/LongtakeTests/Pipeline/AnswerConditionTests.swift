import Longtake
import Testing

extension LongtakeTests {
    /// Which question a condition is about.
    @Suite struct AnswerConditionTests {
        private static let names = [
            "answer", "contains", "does", "file", "found", "is", "not", "number", "run", "score", "the", "value",
        ]

        @Test(arguments: names) func aQuestionsNameComesFirst(name: String) throws {
            let tests: [(String, met: (answer: String, found: Bool, score: Double), not: (String, Bool, Double))] = [
                (">= 3", ("3", true, 0), ("2", true, 9)), ("= 3", ("3", true, 0), ("2", true, 3)),
                ("found", ("x", true, 0), ("x", false, 0)), ("is found", ("x", true, 0), ("x", false, 0)),
                ("not found", ("x", false, 0), ("x", true, 0)), ("is \"a\"", ("A.", true, 0), ("b", true, 0)),
                ("is not a", ("b", true, 0), ("a", true, 0)), ("contains a", ("bad", true, 0), ("b", true, 0)),
                ("score >= 0.5", ("x", true, 0.5), ("1", true, 0.4)),
            ]
            for (text, met, not) in tests {
                for prefix in ["", "the answer to ", "answer to "] {
                    let condition = try #require(
                        AnswerCondition("\(prefix)\(name) \(text)", questions: ["people", name]),
                        "\(prefix)\(name) \(text)")
                    #expect(condition.subject == name, "\(prefix)\(name) \(text)")
                    #expect(condition.holds(answer: met.answer, found: met.found, score: met.score), "\(name) \(text)")
                    #expect(!condition.holds(answer: not.0, found: not.1, score: not.2), "\(name) \(text)")
                }
            }
        }

        @Test func withoutSuchAQuestionTheWordsAreTheTests() throws {
            for text in [
                "found", "is found", "not found", "is not a", "contains a", "does not contain a", "score >= 0.5",
                ">= 3",
                "number >= 3", "answer is a", "value = 3",
            ] {
                let condition = try #require(AnswerCondition(text, questions: ["people"]), "\(text)")
                #expect(condition.subject == nil, "\(text)")
            }
            for name in Self.names where !["found", "answer", "number", "value"].contains(name) {
                let condition = AnswerCondition("\(name) = 3", questions: ["people"])
                #expect(condition?.subject == (name == "score" ? nil : name), "\(name)")
            }
        }

        /// What is no test of the question's answer keeps its meaning.
        @Test(arguments: names) func aTestAloneIsAboutTheQuestionItself(name: String) throws {
            for text in ["found", "is \"a\"", "contains a", "is not a", "does not contain a"] {
                #expect(AnswerCondition(text, questions: [name])?.subject == nil, "\(name): \(text)")
            }
            let other = try #require(AnswerCondition("the answer to people is a", questions: ["people", name]))
            #expect(other.subject == "people")
        }
    }
}
