/// Formats an interval between two times in RFC 3339 for people.
enum DayInterval {
    /// "2026-03-29 01:30:00–01:30:05": the end's date where it is another one, offsets where they differ.
    ///
    /// Nil if a time is missing or is not in RFC 3339.
    static func text(_ start: String?, _ end: String?) -> String? {
        guard let (first, last) = start.flatMap(parts).flatMap({ first in end.flatMap(parts).map { (first, $0) } })
        else { return nil }
        let differ = first.offset != last.offset
        return "\(first.date) \(first.time)" + (differ ? " \(first.offset)" : "") + "–"
            + (first.date == last.date ? "" : "\(last.date) ") + last.time + (differ ? " \(last.offset)" : "")
    }

    private static func parts(_ text: String) -> (date: Substring, time: Substring, offset: Substring)? {
        guard text.count >= 20, text.allSatisfy(\.isASCII), ClockTime(text) != nil else { return nil }
        let rest = text.dropFirst(19)
        return (text.prefix(10), text.dropFirst(11).prefix(8), rest.drop { $0 == "." || $0.isNumber })
    }
}
