import ArgumentParser
import Foundation
import Glibc
import Longtake

/// Wraps help texts, because the parser's own wrapping breaks the lines of examples.
enum Help {
    private static let space = "\u{E000}"
    private static let lineBreak = "\u{E001}"

    /// Encodes a discussion as one word, which the parser does not wrap.
    static func text(_ text: String) -> String {
        text.replacingOccurrences(of: " ", with: space).replacingOccurrences(of: "\n", with: lineBreak)
    }

    /// Decodes the discussions in a parser message: keeps lines that begin with two spaces, and wraps the others.
    static func laidOut(_ message: String) -> String {
        guard message.contains(space) || message.contains(lineBreak) else { return message }
        // The parser's own JSON (--experimental-dump-help) has the placeholders in its strings.
        guard !message.hasPrefix("{") else {
            return message.replacingOccurrences(of: space, with: " ").replacingOccurrences(of: lineBreak, with: "\\n")
        }
        let width = width
        return message.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.contains(space) || line.contains(lineBreak) else { return String(line) }
            return line.replacingOccurrences(of: space, with: " ")
                .components(separatedBy: lineBreak).map { $0.hasPrefix("  ") ? $0 : wrapped($0, width) }
                .joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func wrapped(_ text: String, _ width: Int) -> String {
        var (lines, line) = ([String](), "")
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        return (lines + [line]).joined(separator: "\n")
    }

    /// Terminal width in columns, from the environment or the terminal; 80 if neither gives it.
    private static var width: Int {
        if let text = ProcessInfo.processInfo.environment["COLUMNS"], let columns = Int(text), columns > 0 {
            return columns
        }
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }
}

/// The parser's messages about incorrect usage, made safe for a terminal.
enum UsageMessage {
    /// The message without control characters from the arguments, shortened to a readable length.
    static func text(_ message: String, arguments: [String]) -> String {
        var message = message
        for argument in arguments {
            let values = [argument] + argument.split(separator: "=", maxSplits: 1).dropFirst().map(String.init)
            for value in values where Console.name(value) != value {
                message = message.replacingOccurrences(of: value, with: Console.name(value))
            }
        }
        return Failure.shortened(withoutFarSuggestion(Console.safe(message)))
    }

    /// Removes the parser's suggestion of an option that is three or more edits away, since that is another word.
    private static func withoutFarSuggestion(_ message: String) -> String {
        guard let hint = message.range(of: #"\. Did you mean '[^']*'\?"#, options: .regularExpression),
            let unknown = message.range(of: #"Unknown option '[^']*'"#, options: .regularExpression)
        else { return message }
        let near = message[hint].dropFirst(". Did you mean '".count).dropLast(2)
        let typed = message[unknown].dropFirst("Unknown option '".count).dropLast(1)
        guard Spelling.suggestion(for: String(typed), among: [String(near)]) == nil else { return message }
        return message.replacingCharacters(in: hint, with: "")
    }
}
