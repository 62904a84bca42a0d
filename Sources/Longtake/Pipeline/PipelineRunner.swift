internal import Foundation
internal import Glibc
internal import Store

/// Runs a pipeline: indexes what is new, asks every question of every recording, appends the answers to the output.
public struct PipelineRunner {
    private let file: PipelineFile
    private let analyzer: Deferred<Analyzer>
    private let options: IndexOptions
    private let known: ([InputPath]) throws -> [InputPath: Analyzer.Indexed]

    /// - Parameter options: how to index, the file's own settings among them (`options(of:)`); after their deadline no
    ///   segment is begun and no question asked, but for the first of a run.
    public init(_ file: PipelineFile, analyzer: Analyzer, options: IndexOptions) {
        self.init(file, analyzer: Deferred { analyzer }, options: options) { _ in [:] }
    }

    /// - Parameters:
    ///   - analyzer: made when a recording has to be looked into or asked about.
    ///   - known: says which files need not be indexed.
    public init(
        _ file: PipelineFile, analyzer: Deferred<Analyzer>, options: IndexOptions,
        known: @escaping ([InputPath]) throws -> [InputPath: Analyzer.Indexed]
    ) {
        self.file = file
        self.analyzer = analyzer
        self.options = options
        self.known = known
    }

    /// The options of a pipeline whose settings nothing overrides.
    public static func options(of file: PipelineFile) -> IndexOptions {
        var options = IndexOptions()
        options.framesPerSecond = file.framesPerSecond ?? options.framesPerSecond
        options.minimumAge = file.minimumAge ?? options.minimumAge
        return options
    }

    /// One line of the output.
    private struct Line: Encodable {
        let key: String
        let run: String
        let time: String
        let questionID: String
        let answer: Answer

        private enum CodingKeys: String, CodingKey {
            case key, time
            case run = "run_id"
            case questionID = "question_id"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(key, forKey: .key)
            try container.encode(run, forKey: .run)
            try container.encode(time, forKey: .time)
            try container.encode(questionID, forKey: .questionID)
            try answer.encode(to: encoder)
        }
    }

    private struct Known: Decodable { let key: String }

    /// - Throws: `Failure` when the output cannot be written or nothing more can be indexed; one recording's trouble is in
    ///   the summary.
    public func run(event: (BatchEvent) -> Void) throws -> BatchSummary {
        let start = ContinuousClock.now
        var summary = BatchSummary()
        let walker = InputWalker(file.inputs.map { InputPath($0) }, recursive: file.recursive)
        for (path, reason) in walker.unreadable {
            summary.filesFailed += 1
            let failure = Failure(code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input)
            event(.failed(path: path.description, failure))
        }
        let recordings = try BatchIndexer(
            analyzer, options: options, known: known(walker.files)
        ).run(walker.files, summary: &summary, event: event)
        if let output = file.output, !file.questions.isEmpty, summary.stopped == nil {
            try ask(recordings, output: output, &summary, event)
        }
        summary.finish(seconds: (ContinuousClock.now - start).seconds)
        return summary
    }

    private func ask(
        _ recordings: [Analyzer.Indexed], output: String, _ summary: inout BatchSummary, _ event: (BatchEvent) -> Void
    ) throws {
        let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let descriptor = open(output, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.cannotWrite(output) }
        defer { close(descriptor) }
        var known = try Self.keys(descriptor, output)
        for recording in recordings {
            let open = file.questions.filter { asked in
                guard known.contains(Self.key(recording, asked)) else { return true }
                summary.answersUnchanged += 1
                return false
            }
            // Questions about the same range are asked together: they share most of the work.
            var ranges: [[PipelineFile.Asked]] = []
            for asked in open {
                let place = ranges.firstIndex {
                    $0[0].from == asked.from && $0[0].to == asked.to && $0[0].request.fusion == asked.request.fusion
                }
                if let place {
                    ranges[place].append(asked)
                } else {
                    ranges.append([asked])
                }
            }
            for group in ranges {
                if options.isOver, summary.hasWorked { return summary.stop(left: 0) }
                var done = 0
                let analyzer = try analyzer.get()
                do {
                    try analyzer.ask(group.map(\.request), index: recording) { place, answer in
                        let key = Self.key(recording, group[place])
                        try Self.append(
                            Line(
                                key: key, run: summary.runID, time: Date().formatted(.iso8601),
                                questionID: group[place].id, answer: answer), to: descriptor, output)
                        known.insert(key)
                        summary.answers += 1
                        done = place + 1
                        event(.answered(answer, questionID: group[place].id))
                    }
                } catch {
                    let failure = Failure(error, subject: recording.path)
                    if failure.exitCode == Exit.space || failure.exitCode == Exit.interrupted { throw failure }
                    summary.answersFailed += group.count - done
                    for asked in group[done...] {
                        event(.answerFailed(path: recording.path, questionID: asked.id, failure))
                    }
                }
            }
        }
    }

    /// What an answer depends on: the index and the question as asked.
    private static func key(_ recording: Analyzer.Indexed, _ asked: PipelineFile.Asked) -> String {
        let parts =
            [
                recording.index, "\(recording.frames)", recording.state, asked.id, asked.question,
                asked.from.map { "\($0)" } ?? "", asked.to.map { "\($0)" } ?? "",
                asked.maxTokens.map { "\($0)" } ?? "",
            ] + (asked.fusion.map { [$0.rawValue] } ?? [])
        return String(ContentHash.sha256(Array(parts.joined(separator: "\u{0}").utf8)).prefix(32))
    }

    private static func keys(_ descriptor: Int32, _ output: String) throws -> Set<String> {
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
        let data: Data?
        do {
            data = try handle.readToEnd()
        } catch {
            throw cannotWrite(output)
        }
        guard let data else { return [] }
        var found: Set<String> = []
        for line in data.split(separator: UInt8(ascii: "\n")) {
            if let known = try? JSONDecoder().decode(Known.self, from: line) { found.insert(known.key) }
        }
        // A run that was killed may have left half a line: the next one starts on its own.
        if let last = data.last, last != UInt8(ascii: "\n"), write(descriptor, "\n", 1) != 1 {
            throw cannotWrite(output)
        }
        return found
    }

    private static func append(_ line: Line, to descriptor: Int32, _ output: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = [UInt8](try encoder.encode(line)) + [UInt8(ascii: "\n")]
        var done = 0
        while done < bytes.count {
            let wrote = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { base in base + done }, bytes.count - done)
            }
            if wrote < 0, errno == EINTR { continue }
            guard wrote > 0 else { throw cannotWrite(output) }
            done += wrote
        }
    }

    private static func cannotWrite(_ output: String) -> Failure {
        Failure(
            code: "cannot_write", message: "\(output): cannot write answers: \(String(cString: strerror(errno)))",
            exitCode: Exit.space)
    }
}
