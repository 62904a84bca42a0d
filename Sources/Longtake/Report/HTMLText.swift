/// Text as HTML: nothing in it is markup, and no character controls what is around it.
enum HTMLText {
    /// The text for the content of an element or an attribute in quotes; line breaks and tabs stay.
    static func escaped(_ text: String) -> String {
        let visible = VisibleText.escaped(text, keeping: ["\n", "\t"])
        guard visible.utf8.contains(where: { [0x26, 0x3C, 0x3E, 0x22, 0x27].contains($0) }) else { return visible }
        return visible.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.append(character)
            }
        }
    }

    /// The text on one line, at most `limit` characters long.
    static func line(_ text: String, limit: Int = 200) -> String {
        let line = text.split { $0.isNewline || $0 == "\t" }.joined(separator: " ")
        return escaped(shortened(line, limit))
    }

    /// The first `limit` characters, and "…" if there are more.
    static func shortened(_ text: String, _ limit: Int) -> String {
        text.count > limit ? text.prefix(limit) + "…" : text
    }

    /// A number for an attribute, in hundredths.
    static func number(_ value: Double) -> String { TimeText.number((value * 100).rounded() / 100) }
}
