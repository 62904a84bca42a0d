import Longtake

/// Splits the arguments of `ask` into recordings and questions; recordings come first.
struct AskArguments {
    let recordings: [String]
    let questions: [String]

    /// Splits `arguments`.
    ///
    /// - Parameter hasMore: questions also come from a file, so the last argument may be a recording.
    ///
    /// - Parameter hasRecordings: recordings also come from a list, so the first argument may be a question.
    init(_ arguments: [String], hasMore: Bool, hasRecordings: Bool) {
        let first = hasRecordings ? [] : arguments.prefix(1)
        let rest = arguments.dropFirst(first.count)
        // The last argument is a question, unless it cannot be one.
        let certain = hasMore || rest.allSatisfy(Self.namesRecording) ? rest : rest.dropLast()
        let more = certain.prefix { Self.namesRecording($0) || RecordingArgument.exists($0) }
        recordings = Array(first) + Array(more)
        questions = Array(rest.dropFirst(more.count))
    }

    /// True if the first argument is a file or looks like a recording, so that it cannot be a question.
    static func beginsWithRecording(_ arguments: [String]) -> Bool {
        arguments.first.map { namesRecording($0) || RecordingArgument.exists($0) } ?? false
    }

    private static func namesRecording(_ word: String) -> Bool {
        word == "-" || RecordingArgument.looksLikeID(word) || RecordingArgument.looksLikeFile(word)
    }

    /// - Throws: `Failure` with status 14 for a file that does not exist; a usage error for a recording after a
    ///   question.
    func check() throws {
        for word in questions where Self.namesRecording(word) {
            guard RecordingArgument.looksLikeFile(word), !RecordingArgument.exists(word) else {
                throw UsageError("\(word) is a recording: give recordings before the questions")
            }
            throw RecordingArgument.missing(word)
        }
        // If there is only one recording, opening it reports that it is missing, with what is known about it.
        guard recordings.count > 1 || questions.isEmpty else { return }
        for word in recordings where RecordingArgument.looksLikeFile(word) && !RecordingArgument.exists(word) {
            throw RecordingArgument.missing(word)
        }
    }
}

/// Classifies a command-line argument as a recording by its form, whether or not the recording exists.
enum RecordingArgument {
    /// Suffixes of files that are not recordings, but not question texts either.
    private static let otherSuffixes: Set<String> = [
        "264", "265", "avif", "av1", "bmp", "csv", "dav", "gif", "h264", "h265", "heic", "heif", "hevc", "ivf", "jpeg",
        "jpg", "json", "jsonl", "m2v", "m4a", "mp3", "mpv", "ogg", "ogm", "png", "rm", "rmvb", "srt", "swf", "tif",
        "tiff", "tp", "trp", "txt", "vtt", "wav", "webp", "wtv", "y4m", "yaml", "yml",
    ]

    /// True for an ID, the start of one, or an index's own ID: `vid_…`, or at least 8 hexadecimal digits.
    static func looksLikeID(_ word: String) -> Bool {
        if word.hasPrefix("vid_"), !word.contains(where: \.isWhitespace) { return true }
        return word.utf8.count >= 8 && word.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// True for a video suffix, for a slash or another file suffix in a word without spaces, and for the start of a
    /// path.
    static func looksLikeFile(_ word: String) -> Bool {
        if ["/", "./", "../", "~/"].contains(where: word.hasPrefix) || word.hasSuffix("/") { return true }
        let suffix = word.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last?.lowercased()
        if let suffix, InputWalker.suffixes.contains(suffix) { return true }
        guard !word.contains(where: \.isWhitespace) else { return false }
        if let suffix, otherSuffixes.contains(suffix) { return true }
        // Scripts without spaces write a question as one word.
        let isQuestion = word.hasSuffix("？") || (word.hasSuffix("?") && !word.utf8.allSatisfy { $0 < 0x80 })
        return word.contains("/") && !isQuestion
    }

    static func exists(_ word: String) -> Bool { PathArgument(argument: word)?.path.exists == true }

    static func missing(_ word: String) -> Failure {
        Failure(
            code: "cannot_read",
            message: "\(word): no such file; put a question that looks like a file name into a file for --questions",
            exitCode: Exit.input)
    }
}
