internal import Yams

/// A file or folder with recordings, and which of them a pipeline takes.
package struct PipelineInput: Sendable, Equatable {
    /// The file or folder, absolute.
    package var path: String
    /// Whether subfolders are searched too.
    package var recursive = true
    /// Whether symbolic links inside folders are followed.
    package var followSymlinks = false
    /// Patterns of which a file inside the folder must match one; empty: every recording is taken.
    package var include: [String] = []
    /// Patterns of files and folders that are left out.
    package var exclude: [String] = []
    /// True if `path` is a list of files, one per line.
    package var isList = false
    /// Shortest and longest length of a recording, in seconds.
    package var minimumLength: Double?
    package var maximumLength: Double?

    /// An input with the default settings.
    package init(path: String) { self.path = path }

    var hasLimitedLength: Bool { minimumLength != nil || maximumLength != nil }

    /// Why a recording's length, in seconds, is not among those that this input takes; nil if it is or is not known.
    func lengthFault(_ seconds: Double?, _ path: InputPath) -> Failure? {
        guard let seconds else { return nil }
        func fault(_ what: String, _ limit: Double) -> Failure {
            Failure(
                code: "length",
                message: "\(path): \(TimeText.number(seconds)) s long; `\(what)` is \(TimeText.number(limit)) s",
                exitCode: 0)
        }
        if let least = minimumLength, seconds < least { return fault("min_length", least) }
        if let most = maximumLength, seconds > most { return fault("max_length", most) }
        return nil
    }

    static func read(_ keys: PipelineKeys, resolve: (String) -> String) throws -> [PipelineInput] {
        guard let list = keys.mapping["inputs"], let sequence = list.sequence, !sequence.isEmpty else {
            throw keys.bad("`inputs` must be a list of files and folders", keys.mapping["inputs"])
        }
        var standard = PipelineInput(path: "")
        standard.recursive = try keys.boolean("recursive") ?? true
        standard.exclude = try patterns("exclude", keys)
        return try sequence.map { node in
            var input = standard
            if let name = node.string, !name.isEmpty {
                input.path = resolve(name)
                return input
            }
            guard let mapping = node.mapping else {
                throw keys.bad("each input must be a path, or a mapping with `path` or `list`", node)
            }
            let own = PipelineKeys(path: keys.path, mapping: mapping, where: "in an input")
            try own.allow([
                "path", "list", "recursive", "include", "exclude", "follow_symlinks", "min_length", "max_length",
            ])
            let (path, files) = (try own.string("path"), try own.string("list"))
            guard let name = path ?? files, path == nil || files == nil else {
                throw keys.bad(
                    "an input needs either `path`, a file or folder, or `list`, a file that names some", node)
            }
            input.path = resolve(name)
            input.isList = files != nil
            input.recursive = try own.boolean("recursive") ?? standard.recursive
            input.include = try patterns("include", own)
            input.exclude += try patterns("exclude", own)
            input.followSymlinks = try own.boolean("follow_symlinks") ?? false
            input.minimumLength = try own.duration("min_length")
            input.maximumLength = try own.duration("max_length")
            if let least = input.minimumLength, let most = input.maximumLength, least > most {
                throw keys.bad("`min_length` must not be above `max_length`", node)
            }
            return input
        }
    }

    private static func patterns(_ key: String, _ keys: PipelineKeys) throws -> [String] {
        let patterns = try keys.strings(key) ?? []
        if let back = patterns.first(where: { $0.hasPrefix("!") }) {
            throw keys.bad(
                "`\(key)`: ! is not supported; write \\\(back) for a name that begins with it", keys.mapping[key])
        }
        return patterns
    }
}

extension PipelineFile {
    /// The recordings of the inputs.
    ///
    /// - Parameter exclude: patterns that are left out of every input, as bytes.
    /// - Throws: `LongtakeError` `bad_request` for a list that cannot be read; `interrupted`.
    package func walk(exclude: [[UInt8]] = [], cancellation: Cancellation = Cancellation()) throws -> InputWalker {
        var all = InputWalker([])
        for input in inputs {
            var paths = [InputPath(input.path)]
            if input.isList {
                let lines = try InputLines(paths[0], separator: 0x0A, mayBeEmpty: true, cancellation: cancellation)
                paths = []
                while let line = try lines.next() { paths.append(InputPath(bytes: line)) }
            }
            all.append(
                InputWalker(
                    paths, recursive: input.recursive, exclude: exclude + input.exclude.map { Array($0.utf8) },
                    include: input.include.map { Array($0.utf8) }, followsLinks: input.followSymlinks))
        }
        return all
    }

    /// The input that a file belongs to: the one with the longest path that leads to it.
    func input(of file: InputPath) -> PipelineInput? {
        let path = file.absolute.bytes
        return inputs.filter { input in
            let own = Array(input.path.utf8)
            return input.isList || path == own || path.starts(with: own + [UInt8(ascii: "/")])
        }.max { ($0.isList ? 0 : $0.path.utf8.count) < ($1.isList ? 0 : $1.path.utf8.count) }
    }
}
