internal import Yams

/// What becomes of the digest of each run: a file, a program's input, or both.
struct PipelineDigest: Sendable, Equatable {
    /// The file; nil: none.
    let path: PathTemplate?
    /// A program and its arguments, which gets the digest on its standard input; nil: none.
    let command: [String]?
    let style: RunDigest.Style

    /// Seconds after which the program is ended.
    private static let mostSeconds = 60.0

    /// The key `digest`: a path, or a mapping.
    static func read(_ top: PipelineKeys, resolve: (String) -> String) throws -> PipelineDigest? {
        guard let node = top.mapping["digest"] else { return nil }
        guard let mapping = node.mapping else {
            guard let text = try top.string("digest") else { return nil }
            return try PipelineDigest(text, command: nil, format: nil, resolve: resolve) {
                top.bad($0, node)
            }
        }
        let keys = PipelineKeys(path: top.path, mapping: mapping, where: "in the digest")
        try keys.allow(["path", "command", "format"])
        let (text, command) = (try keys.string("path"), try keys.strings("command"))
        guard text != nil || command != nil else {
            throw top.bad("`digest` needs `path`, `command` or both", node)
        }
        return try PipelineDigest(
            text, command: command, format: keys.choice("format", RunDigest.Style.self), resolve: resolve
        ) { top.bad($0, node) }
    }

    private init(
        _ text: String?, command: [String]?, format: RunDigest.Style?, resolve: (String) -> String,
        bad: (String) -> LongtakeError
    ) throws {
        do {
            path = try text.map { try PathTemplate(ofRun: resolve($0), what: "digest") }
        } catch { throw bad(Failure(error).message) }
        self.command = command
        let isText = text.map { $0.lowercased().hasSuffix(".txt") } ?? (command != nil)
        style = format ?? (isText ? .text : .markdown)
    }

    /// Writes the file and runs the program.
    ///
    /// - Parameter time: the run's start, in seconds since 1970.
    /// - Throws: as `RunDocument.write`; `Failure` `digest_failed` if the program failed.
    func send(_ document: String, time: Int) throws {
        if let path = path?.path(time: time) {
            try RunDocument.write(document, to: path, what: "digest")
        }
        guard let command,
            let problem = AlertCommand.problem(of: command, input: document, timeout: Self.mostSeconds)
        else { return }
        throw Failure(
            code: "digest_failed", message: "the digest was not sent: \(problem)", exitCode: Exit.partial)
    }
}
