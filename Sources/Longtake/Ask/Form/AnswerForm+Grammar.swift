internal import Checkpoints
package import Tokenizers

extension AnswerForm {
    /// The grammar of answers in this form, which may begin with a space.
    ///
    /// - Throws: `LongtakeError` `bad_request` if a schema is too large.
    package func grammar() throws -> ByteGrammar {
        var builder = GrammarBuilder()
        do {
            let answer = try part(&builder)
            // The first token of a text often begins with a space, which is not part of the answer.
            let start = try builder.oneOf([(" ", answer)], otherwise: answer)
            return builder.grammar(from: start)
        } catch {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "the answer's form is too large: it needs more than \(GrammarBuilder.limit) states; allow fewer "
                    + "items (maxItems), or fewer properties")
        }
    }

    private func part(_ builder: inout GrammarBuilder) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
        let end = builder.end
        switch self {
        case .yesNo, .choice: return try builder.oneOf(spellings.keys.sorted().map { ($0, end) })
        case .number:
            guard let range = NumberRange(isWhole: false) else { return end }
            let digits = try builder.number(range, then: end)
            return try builder.oneOf(NumberWord.spellings.map { ($0, end) }, otherwise: digits)
        case .time: return try Self.time(&builder)
        case .text: return try builder.text(1...Self.textLimit, isQuoted: false, then: end)
        case .json(let schema): return try schema.root.part(&builder, then: end)
        }
    }

    /// `M:SS`, `MM:SS`, `H:MM:SS` or `HH:MM:SS`.
    private static func time(_ builder: inout GrammarBuilder) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
        let end = builder.end
        let sixtieths = (0...59).map { ":" + ($0 < 10 ? "0" : "") + "\($0)" }
        // A second part is the seconds if nothing follows it, else the minutes.
        let third = try builder.oneOf(sixtieths.map { ($0, end) }, otherwise: end)
        let second = try builder.oneOf(sixtieths.map { ($0, third) })
        let first = (0...99).map { "\($0)" } + (0...9).map { "0\($0)" }
        return try builder.oneOf(first.map { ($0, second) })
    }
}

extension AnswerSchema.Kind {
    /// The grammar of this value, then `next`.
    fileprivate func part(
        _ builder: inout GrammarBuilder, then next: GrammarBuilder.Part
    ) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
        switch self {
        case .null: return try builder.literal("null", then: next)
        case .boolean: return try builder.oneOf([("true", next), ("false", next)])
        case .number(let range): return try builder.number(range, then: next)
        case .string(let most):
            let text = try builder.text(0...most, isQuoted: true, then: next)
            return try builder.literal("\"", then: text)
        case .choice(let texts): return try builder.oneOf(texts.map { (JSONValue.quoted($0), next) })
        case .array(let items, let count): return try Self.array(items, count, &builder, then: next)
        case .object(let properties): return try Self.object(properties, &builder, then: next)
        }
    }

    /// `[1, 2]`: the items one after the other, as often as allowed.
    private static func array(
        _ items: Self, _ count: ClosedRange<Int>, _ builder: inout GrammarBuilder, then next: GrammarBuilder.Part
    ) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
        let close = try builder.literal("]", then: next)
        // What may come after `n` items, from the last one back.
        var after = close
        for number in stride(from: count.upperBound, through: 1, by: -1) {
            let item = try items.part(&builder, then: after)
            let isEnough = number - 1 >= count.lowerBound
            guard number > 1 else {
                after = isEnough ? try builder.oneOf([("]", next)], otherwise: item) : item
                break
            }
            after = try builder.oneOf([(", ", item)] + (isEnough ? [("]", next)] : []))
        }
        return try builder.literal("[", then: after)
    }

    /// `{"a": 1, "b": 2}`: the properties in their order, without optional ones that the model leaves out.
    private static func object(
        _ properties: [AnswerSchema.Property], _ builder: inout GrammarBuilder, then next: GrammarBuilder.Part
    ) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
        // The value of each property and what comes after it, from the last one back.
        var values: [Int: GrammarBuilder.Part] = [:]
        func choice(
            from index: Int, isFirst: Bool, _ builder: inout GrammarBuilder
        ) throws(GrammarBuilder.TooLarge) -> GrammarBuilder.Part {
            var texts: [(text: String, next: GrammarBuilder.Part)] = []
            for number in index..<properties.count {
                guard let value = values[number] else { continue }
                texts.append(((isFirst ? "" : ", ") + JSONValue.quoted(properties[number].name) + ": ", value))
                if properties[number].isRequired { return try builder.oneOf(texts) }
            }
            return try builder.oneOf(texts + [("}", next)])
        }
        for index in properties.indices.reversed() {
            let after = try choice(from: index + 1, isFirst: false, &builder)
            values[index] = try properties[index].value.part(&builder, then: after)
        }
        let first = try choice(from: 0, isFirst: true, &builder)
        return try builder.literal("{", then: first)
    }
}
