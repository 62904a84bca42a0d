/// Writes values into systemd unit files, by the rules of systemd.syntax(7), systemd.service(5) and systemd.unit(5).
enum UnitText {
    /// Returns a command line for `ExecStart=`: the program's absolute path and its arguments.
    static func command(_ program: String, _ arguments: [String]) -> String {
        // Only arguments are subject to variables: a doubled dollar sign in the program's path would stay doubled.
        ([quoted(percentDoubled(program))]
            + arguments.map { quoted(percentDoubled($0).replacing("$", with: "$$")) }).joined(separator: " ")
    }

    /// Returns text with `%` doubled, which begins a specifier in most settings.
    static func percentDoubled(_ text: String) -> String { text.replacing("%", with: "%%") }

    /// True if the text can be part of a line: a unit file has no way to hold other control characters in all settings.
    static func isPlain(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) }
    }

    /// Returns one word of a command line, in double quotes if it has characters that systemd reads specially.
    private static func quoted(_ word: String) -> String {
        let isSafe = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "_./:=@,+-%$".utf8.contains(byte)
            }
        }
        guard !isSafe || word.isEmpty else { return word }
        return "\"" + word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
