import ArgumentParser
import Foundation

/// What is looked at before the words are parsed: typing errors that would otherwise print the help and end well.
enum Words {
    /// - Throws: a usage error for an unknown command, and for a name or a question that begins with a dash.
    static func check(_ words: [String]) throws {
        guard let first = words.first else { return }
        let known = LongtakeCommand.configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        if !first.hasPrefix("-"), !known.contains(first) {
            let near = known.min { distance($0, first) < distance($1, first) } ?? ""
            let hint = distance(near, first) <= 2 ? "; did you mean \(near)?" : "; `longtake --help` lists them"
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

    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var row = Array(0...b.count)
        for i in a.indices {
            var previous = row[0]
            row[0] = i + 1
            for j in b.indices {
                let next = min(row[j + 1] + 1, row[j] + 1, previous + (a[i] == b[j] ? 0 : 1))
                previous = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[b.count]
    }
}
