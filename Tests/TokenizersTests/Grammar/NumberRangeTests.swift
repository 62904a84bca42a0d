import TestSupport
import Testing
import Tokenizers

/// Numbers in a range, compared with all numbers of few digits.
@Suite struct NumberRangeTests {
    private func grammar(_ range: NumberRange) throws -> ByteGrammar {
        var builder = GrammarBuilder()
        let number = try builder.number(range, then: builder.end)
        return builder.grammar(from: number)
    }

    private func accepts(_ grammar: ByteGrammar, _ text: String) -> Bool {
        grammar.next(grammar.start, text.utf8).map(grammar.isAccepting) ?? false
    }

    @Test(arguments: [(-12, 340), (5, 5), (100, 109), (-99, -98), (0, 0), (-3, 0), (999, 2000), (7, 1000)])
    func `whole numbers in a range are accepted, all others are not`(low: Int, high: Int) throws {
        let grammar = try grammar(try #require(NumberRange(isWhole: true, low: Int64(low), high: Int64(high))))
        for number in -2100...2100 {
            #expect(accepts(grammar, "\(number)") == (low...high).contains(number), "\(number)")
        }
        for text in ["", "-", "00", "01", "-0", "+1", "1.0", "1e2", " 1", "1 "] {
            #expect(!accepts(grammar, text), "\(text)")
        }
    }

    @Test(arguments: [(-1_500_000, 2_250_000), (100_000, 250_000), (1, 999_999), (0, 0), (3_141_592, 3_141_593)])
    func `numbers with a fraction are compared exactly`(low: Int, high: Int) throws {
        let grammar = try grammar(try #require(NumberRange(isWhole: false, low: Int64(low), high: Int64(high))))
        for thousandths in -3000...3200 {
            let sign = thousandths < 0 ? "-" : ""
            let (whole, rest) = (abs(thousandths) / 1000, abs(thousandths) % 1000)
            let text = "\(sign)\(whole).\(rest / 100)\(rest / 10 % 10)\(rest % 10)"
            #expect(accepts(grammar, text) == (low...high).contains(thousandths * 1000), "\(text)")
        }
        #expect(accepts(grammar, "3.141592") == (low...high).contains(3_141_592))
        for text in [".5", "5.", "-.5", "0.1234567", "-0.0"] { #expect(!accepts(grammar, text), "\(text)") }
    }

    @Test func `an empty range has no grammar`() {
        #expect(NumberRange(isWhole: true, low: 3, high: 2) == nil)
        // Nothing with at most six digits after the point, and no number of 16 digits.
        #expect(NumberRange(isWhole: true, low: 1_000_000_000_000_000) == nil)
        #expect(NumberRange(isWhole: true) != nil && NumberRange(isWhole: false) != nil)
    }

    /// Follows random digits: where the automaton is alive, the fewest bytes it names do complete a number.
    @Test func `the fewest bytes to the end are those of the shortest way`() throws {
        var random = SeededNumbers(state: 22)
        for _ in 0..<60 {
            let isWhole = Bool.random(using: &random)
            let bounds = [0, 1].map { _ in Int64.random(in: -30_000_000...30_000_000, using: &random) }.sorted()
            guard let range = NumberRange(isWhole: isWhole, low: bounds[0], high: bounds[1]) else { continue }
            let grammar = try grammar(range)
            var state = grammar.start
            for _ in 0..<12 {
                try #require(grammar.fewestBytes(state) == shortest(grammar, state))
                let next = "-.0123456789".utf8.compactMap { grammar.next(state, $0) }
                guard let chosen = next.randomElement(using: &random) else { break }
                state = chosen
            }
        }
    }

    /// The length of the shortest way to an accepted text, by breadth-first search.
    private func shortest(_ grammar: ByteGrammar, _ state: ByteGrammar.State) -> Int? {
        var level: Set<ByteGrammar.State> = [state]
        for length in 0...24 {
            // Accepting by its own definition: a text ends here.
            if level.contains(where: grammar.isAccepting) { return length }
            level = Set(level.flatMap { one in "-.0123456789".utf8.compactMap { grammar.next(one, $0) } })
            if level.count > 20_000 { return grammar.fewestBytes(state) }
        }
        return nil
    }
}
