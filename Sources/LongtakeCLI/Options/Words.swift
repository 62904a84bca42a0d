import ArgumentParser
import Longtake

/// What is looked at before the words are parsed: typing errors that would otherwise print the help and end well.
enum Words {
    /// - Throws: a usage error for an unknown command, and for a name or a question that begins with a dash.
    static func check(_ words: [String]) throws {
        guard let first = words.first else { return }
        let known = LongtakeCommand.configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        if !first.hasPrefix("-"), !known.contains(first) {
            let near = Spelling.nearest(to: first, among: known).flatMap { $0.distance <= 2 ? $0.word : nil }
            let hint = near.map { "; did you mean \($0)?" } ?? "; `longtake --help` lists them"
            throw UsageError("unknown command \(first)\(hint)")
        }
        for word in words.prefix(while: { $0 != "--" }) where isDashed(word) {
            throw UsageError("\(word) begins with a dash: for a file write ./\(word), for a text put -- before it")
        }
    }

    /// A dash and then no option: -recording.mp4 would be read as the options r, e, c, …, h (help).
    private static func isDashed(_ word: String) -> Bool {
        guard word.hasPrefix("-"), !word.hasPrefix("--"), word.count > 2, Double(word) == nil else { return false }
        return !word.dropFirst().allSatisfy { "hqmy".contains($0) } && !word.hasPrefix("-m=")
    }
}
