import ArgumentParser
import Longtake

/// Checks arguments before parsing, for typing errors that would otherwise print the help and exit with success.
enum ArgumentCheck {
    /// - Throws: a usage error for an unknown command, and for a file or question that begins with a dash.
    static func check(_ arguments: [String]) throws {
        guard let first = arguments.first else { return }
        let isHelp = first == "help"
        if !first.hasPrefix("-") {
            try checkCommands(isHelp ? Array(arguments.dropFirst()) : arguments, isHelp: isHelp)
        }
        for word in joined(arguments).prefix(while: { $0 != "--" }) where isDashed(word) {
            throw UsageError("\(word) begins with a dash: write ./\(word) for a file, or put -- before a text")
        }
    }

    /// True for a number, a time or a number with a unit: 1, 0.5, 01:30:00, 10m, 500MB.
    private static func isNumeric(_ word: Substring) -> Bool {
        Double(word) != nil || word.wholeMatch(of: /[0-9][0-9.:]*[A-Za-z]{0,2}/) != nil
    }

    /// Joins an option and a negative value after it, which would be parsed as another option: --stream -1 becomes
    /// --stream=-1.
    static func joined(_ arguments: [String]) -> [String] {
        var joined: [String] = []
        var isEnded = false
        for word in arguments {
            if !isEnded, let option = joined.last, option.hasPrefix("--"), !option.contains("="),
                word.hasPrefix("-"), isNumeric(word.dropFirst())
            {
                joined[joined.count - 1] = option + "=" + word
            } else {
                isEnded = isEnded || word == "--"
                joined.append(word)
            }
        }
        return joined
    }

    /// Follows the arguments down the command tree as far as there are subcommands.
    private static func checkCommands(_ arguments: [String], isHelp: Bool) throws {
        var command: any ParsableCommand.Type = LongtakeCommand.self
        var path = ""
        for word in arguments {
            if word.hasPrefix("-") {
                // What follows are the options of the default subcommand, and their values.
                if command.configuration.defaultSubcommand != nil { return }
                continue
            }
            let below = command.configuration.subcommands
            guard !below.isEmpty else {
                if isHelp { throw UsageError("unknown command \(path)\(word); \(path)has no subcommands") }
                return
            }
            let names = below.compactMap { $0.configuration.commandName } + (path.isEmpty ? ["help"] : [])
            if word == "help", path.isEmpty { return }
            guard let next = below.first(where: { $0.configuration.commandName == word }) else {
                let hint =
                    Spelling.suggestion(for: word, among: names).map { "; did you mean \(path)\($0)?" }
                    ?? "; `longtake \(path)--help` lists the commands"
                throw UsageError("unknown command \(path)\(word)\(hint)")
            }
            command = next
            path += word + " "
        }
    }

    /// True for a dash without an option after it: -recording.mp4 would be parsed as the options r, e, c, …, h (help).
    private static func isDashed(_ word: String) -> Bool {
        guard word.hasPrefix("-"), !word.hasPrefix("--"), word.count > 2, Double(word) == nil else { return false }
        return !word.dropFirst().allSatisfy { "hqmy".contains($0) } && !word.hasPrefix("-m=")
    }
}
