/// Decodes an answer while it is generated; the returned texts add up to the whole answer, decoded and stripped.
///
/// It holds back text that later IDs can still change: bytes of an incomplete character, white space that may be the
/// end, and, if the tokenizer cleans up spaces, a space that may still be removed.
public struct StreamingDecoder: Sendable {
    private var assembler: TokenAssembler
    private let cleanUp: Bool
    private let strip: Bool
    private var unsettled: [UInt8] = []  // decoded, not cleaned
    private var spaces: [UInt8] = []  // cleaned white space, not yet returned
    private var begun = false

    /// `cleanUp`: nil uses the tokenizer's setting. `strip`: remove white space at both ends, as the reference does.
    public init(
        tokenizer: any Tokenizer, skipSpecial: Bool = true, cleanUp: Bool? = nil, strip: Bool = true
    ) {
        assembler = tokenizer.makeAssembler(skipSpecial: skipSpecial)
        self.cleanUp = cleanUp ?? tokenizer.cleansUpSpaces
        self.strip = strip
    }

    /// Adds the next ID and returns the text that is now final; often empty.
    public mutating func append(_ id: Int32) -> String {
        assembler.append(id, to: &unsettled)
        guard cleanUp else { return settle(unsettled.count) }
        return settle(SpaceCleanup.settledCount(unsettled))
    }

    /// Returns the remaining text; do not append afterwards.
    public mutating func finish() -> String {
        assembler.finish(into: &unsettled)
        let text = settle(unsettled.count)
        spaces.removeAll()
        return text
    }

    private mutating func settle(_ count: Int) -> String {
        guard count > 0 else { return "" }
        var text = Array(unsettled[..<count])
        unsettled.removeFirst(count)
        if cleanUp { text = SpaceCleanup.clean(text) }
        guard strip else { return String(decoding: text, as: UTF8.self) }

        var rest = text[...]
        if !begun {
            rest = rest.dropFirst(PythonSpace.leadingCount(rest))
            if rest.isEmpty { return "" }
            begun = true
        }
        let trailing = PythonSpace.trailingCount(rest)
        guard trailing < rest.count else {
            spaces.append(contentsOf: rest)
            return ""
        }
        let result = spaces + rest.dropLast(trailing)
        spaces = Array(rest.suffix(trailing))
        return String(decoding: result, as: UTF8.self)
    }
}
