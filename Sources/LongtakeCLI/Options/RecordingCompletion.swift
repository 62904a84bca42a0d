import ArgumentParser
import Foundation
import Longtake

/// Completes indexed recordings and files in the shell.
enum RecordingCompletion {
    /// IDs of indexed recordings, and files.
    static let idsAndFiles = CompletionKind.custom { arguments, _, prefix in
        recordings(arguments).map(\.id) + files(prefix)
    }

    /// IDs of indexed recordings, and the ends of paths that identify them.
    static let indexed = CompletionKind.custom { arguments, _, _ in
        let found = recordings(arguments)
        let labels = RecordingSummary.labels(found)
        return found.flatMap { [$0.id, $0.path.isEmpty ? $0.name : labels.name($0.path)] }
    }

    /// The recordings in the folders that the unfinished command line or the environment gives; creates nothing.
    private static func recordings(_ arguments: [String]) -> [RecordingSummary] {
        var library = LibraryOptions()
        library.cacheDir = value(of: .cacheDir, in: arguments)
        library.dataDir = value(of: .dataDir, in: arguments)
        guard FileManager.default.fileExists(atPath: library.cachePath),
            let opened = try? library.open(forQuestions: true), let all = try? opened.recordings()
        else { return [] }
        return all
    }

    private static func value(of name: OptionName, in arguments: [String]) -> String? {
        for (argument, next) in zip(arguments, arguments.dropFirst() + [""]) {
            if argument == name.option, !next.isEmpty { return next }
            if argument.hasPrefix(name.option + "=") { return String(argument.dropFirst(name.option.count + 1)) }
        }
        return nil
    }

    /// Videos and folders that begin with `prefix`.
    private static func files(_ prefix: String) -> [String] {
        let folder = prefix.lastIndex(of: "/").map { String(prefix[...$0]) } ?? ""
        let path = NSString(string: folder.isEmpty ? "." : folder).expandingTildeInPath
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.sorted().compactMap { name in
            guard !name.hasPrefix("."), (folder + name).hasPrefix(prefix) else { return nil }
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isFolder) else { return nil }
            if isFolder.boolValue { return folder + name + "/" }
            let suffix = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
            return InputWalker.suffixes.contains(suffix) ? folder + name : nil
        }
    }
}
