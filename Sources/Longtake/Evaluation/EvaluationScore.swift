/// How many answers were right, over all and by category.
package struct EvaluationScore: Sendable, Encodable {
    /// The counts of one category.
    package struct Category: Sendable, Encodable {
        /// What is categorized: "task", "duration".
        package let kind: String
        /// The category's name.
        package let name: String
        /// Right answers.
        package fileprivate(set) var correct = 0
        /// Answers that count.
        package fileprivate(set) var counted = 0
        /// Right answers in percent of those that count; 0 if there is none.
        package var percent: Double { Self.percent(correct, of: counted) }

        static func percent(_ correct: Int, of counted: Int) -> Double {
            counted > 0 ? Double(correct) / Double(counted) * 100 : 0
        }

        private enum CodingKeys: String, CodingKey { case kind, name, correct, counted, percent }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(kind, forKey: .kind)
            try container.encode(name, forKey: .name)
            try container.encode(correct, forKey: .correct)
            try container.encode(counted, forKey: .counted)
            try container.encode(percent, forKey: .percent)
        }
    }

    /// By kind, then in the order of the questions.
    package private(set) var categories: [Category] = []
    /// Right answers.
    package private(set) var correct = 0
    /// Answers that count.
    package private(set) var counted = 0
    /// Answers in which no option could be read.
    package private(set) var unread = 0
    /// The average's name in the benchmark.
    package let averageName: String
    /// The benchmark's average in percent.
    package let average: Double

    private enum CodingKeys: String, CodingKey {
        case categories, correct, counted, unread, average
        case averageName = "average_name"
    }

    /// Counts the scored results.
    init(_ results: [EvaluationResult], _ benchmark: any Benchmark) {
        var places: [EvaluationQuestion.Category: Int] = [:]
        var found: [Category] = []
        for result in results {
            guard let isCorrect = result.isCorrect else { continue }
            if result.choice == nil {
                unread += 1
                if benchmark.skipsUnread { continue }
            }
            counted += 1
            correct += isCorrect ? 1 : 0
            for category in result.question.categories {
                let place = places[category] ?? found.count
                if place == found.count {
                    places[category] = place
                    found.append(Category(kind: category.kind, name: category.name))
                }
                found[place].counted += 1
                found[place].correct += isCorrect ? 1 : 0
            }
        }
        var kinds: [String] = []
        for category in found where !kinds.contains(category.kind) { kinds.append(category.kind) }
        categories = kinds.flatMap { kind in found.filter { $0.kind == kind } }
        averageName = benchmark.averageName
        average =
            benchmark.averagesCategories && !found.isEmpty
            ? found.reduce(0) { $0 + $1.percent } / Double(found.count) : Category.percent(correct, of: counted)
    }
}
