import ArgumentParser
import Glibc
import Longtake

/// Options for input files: lists of them, and exclusions.
struct InputOptions: ParsableArguments {
    @Option(
        .filesFrom, "File with more files and folders, one per line; - for standard input.", valueName: "file",
        completion: .file())
    var filesFrom: PathArgument?

    @Option(
        .filesFrom0, "The same, each ended by a NUL byte, as find -print0 writes them.", valueName: "file",
        completion: .file())
    var filesFrom0: PathArgument?

    @Option(
        .exclude,
        """
        Exclude what matches this pattern (*, ?, [a-z], **): a name, or with a slash a path relative to the given folder; \
        may be repeated.
        """, environmentNote: "one per line", valueName: "glob")
    var exclude: [PathArgument] = []

    @Option(
        .require, "Fail with exit status 14 before doing anything if there are fewer files than this.", valueName: "n")
    var require: Int?

    /// True if standard input is read as a list of files.
    var readsStandardInput: Bool { lists.contains { $0.path.isStandardInput } }

    private var lists: [(path: InputPath, separator: UInt8)] {
        func path(_ typed: PathArgument?, _ name: OptionName) -> InputPath? {
            typed?.path ?? name.environmentText.map { InputPath($0) }
        }
        return [(path(filesFrom, .filesFrom), 0x0A), (path(filesFrom0, .filesFrom0), 0x00)].compactMap {
            list, separator in list.map { ($0, separator) }
        }
    }

    /// True if a list of files is given.
    var hasList: Bool { !lists.isEmpty }

    /// The files and folders of the lists, in order and byte for byte.
    ///
    /// - Throws: `Failure` for a list that cannot be read; a usage error if both lists are standard input.
    func listed() throws -> [InputPath] {
        guard lists.filter(\.path.isStandardInput).count < 2 else {
            throw UsageError("standard input cannot be both lists of files")
        }
        return try lists.flatMap { list in
            let lines = try InputLines(
                list.path, separator: list.separator, mayBeEmpty: true, cancellation: Interruption.cancellation)
            var paths: [InputPath] = []
            while let line = try lines.next() {
                // In a list, "-" is an ordinary file name.
                paths.append(line == [0x2D] ? InputPath("./-") : InputPath(bytes: line))
            }
            return paths
        }
    }

    /// Finds the recordings in `paths`, and warns about folders that have none.
    ///
    /// - Throws: `Failure` `too_few_files` if there are fewer than --require.
    func walk(_ paths: [InputPath], recursive: Bool = true, _ output: OutputOptions) throws -> InputWalker {
        try report(InputWalker(paths, recursive: recursive, exclude: patterns()), output)
    }

    /// Finds the recordings of a pipeline's inputs and of the lists; see the other `walk`.
    func walk(_ file: PipelineFile, _ output: OutputOptions) throws -> InputWalker {
        try report(find(file), output)
    }

    /// Finds the recordings of a pipeline's inputs and of the lists, and reports nothing.
    func find(_ file: PipelineFile) throws -> InputWalker {
        let patterns = try patterns()
        var walker = try file.walk(exclude: patterns, cancellation: Interruption.cancellation)
        walker.append(InputWalker(try listed(), exclude: patterns))
        return walker
    }

    private func patterns() throws -> [[UInt8]] {
        var patterns = exclude.map(\.path.bytes)
        if patterns.isEmpty, let text = OptionName.exclude.environmentText {
            patterns = text.utf8.split(separator: 0x0A).map(Array.init)
        }
        if let back = patterns.first(where: { $0.first == UInt8(ascii: "!") }) {
            throw UsageError(
                "invalid --exclude \"\(InputPath(bytes: back))\"; ! is not supported, write \\! for a name that begins with it"
            )
        }
        return patterns
    }

    private func report(_ walker: InputWalker, _ output: OutputOptions) throws -> InputWalker {
        let required = try OptionName.require.value(require, in: 0...Int.max)
        let suffixes = InputWalker.suffixes.sorted().joined(separator: " ")
        for folder in walker.emptyFolders {
            output.warn("\(folder): no recordings in this folder; suffixes of recordings are \(suffixes)")
        }
        if walker.excluded > 0 {
            output.note(
                "note: \(counted(walker.excluded, "file or folder", "files and folders")) excluded")
        }
        if walker.files.isEmpty, walker.emptyFolders.isEmpty, walker.unreadable.isEmpty {
            output.warn("no recordings found in the given files and folders")
        }
        guard let required, required > 0 else { return walker }
        // Paths given by name are in `files` whether or not they exist.
        let there = walker.files.count {
            $0.isStandardInput || $0.exists || RecordingArgument.looksLikeID($0.description)
        }
        guard there >= required else {
            throw Failure(
                code: "too_few_files",
                message:
                    "\(counted(there, "file")) found, --require is \(required); nothing was done: check that the folders "
                    + "exist and are mounted", exitCode: Exit.input)
        }
        return walker
    }
}
