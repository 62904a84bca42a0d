internal import Foundation
internal import Glibc
internal import SystemCalls
internal import Yams

/// A pipeline read from its YAML file: the inputs to index, the questions to ask and the output file.
///
/// Relative paths are resolved against the file's folder. An unknown key is an error that suggests the nearest known
/// one.
package struct PipelineFile: Sendable {
    /// Largest pipeline file, in bytes.
    private static let maxBytes = 1 << 20

    /// Path of the YAML file as given.
    package let path: String
    /// Path of the model's folder; nil if the file does not name one.
    package let model: String?
    /// The name of the compute precision; nil: as the command line or environment sets it.
    package let precision: String?
    /// Type of cached keys and values, one of `ModelSettings.keyValueTypes`; nil: as the command line or environment
    /// sets it.
    package let keyValues: String?
    /// Paths of files and folders, resolved.
    package let inputs: [String]
    /// Whether subfolders of the inputs are searched too; true by default.
    package let recursive: Bool
    /// Seconds since its last change after which a file is taken; nil: as the command line or environment sets it.
    package let minimumAge: Double?
    /// Frames sampled per second; nil: as the command line or environment sets it.
    package let framesPerSecond: Double?
    /// Which frames are reused; nil if the file does not say.
    package let reuse: IndexOptions.Reuse?
    /// Index of the video stream in each file.
    package let stream: Int?
    /// The questions asked about each recording.
    package let questions: [PipelineQuestion]
    /// Path of the JSON lines file that answers are appended to; nil without questions.
    package let output: String?

    /// Reads and checks a pipeline file.
    ///
    /// - Throws: `LongtakeError` `bad_pipeline`, with the line number if YAML reports one; `interrupted`.
    package init(path: String, cancellation: Cancellation = Cancellation()) throws {
        self.path = path
        let url = URL(fileURLWithPath: path)
        guard access(path, R_OK) == 0 else {
            let error = SystemError.last
            throw Self.bad(path, error.number == ENOENT ? "no such pipeline file" : "cannot read: \(error)")
        }
        let bytes: [UInt8]?
        do {
            bytes = try FileBytes(path: path, cancellation: cancellation).all(limit: Self.maxBytes)
        } catch let error as LongtakeError where error.code == .badRequest {
            throw LongtakeError(code: .badPipeline, message: error.message)
        }
        guard let bytes else {
            throw Self.bad(path, "longer than \(Self.maxBytes) bytes, the limit for a pipeline file")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Self.bad(path, "not valid UTF-8") }
        if let fault = YAMLCheck.fault(in: text) {
            throw LongtakeError(code: .badPipeline, message: "\(path):\(fault.line): \(fault.reason)")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw Self.bad(path, "\(error)")
        }
        guard let root = node?.mapping else { throw Self.bad(path, "must be a mapping that begins with `version: 1`") }
        let reader = Keys(path: path, mapping: root, where: "at the top")
        try reader.allow([
            "version", "model", "precision", "kv", "inputs", "recursive", "min_age", "fps", "stream", "reuse",
            "questions",
            "output",
        ])
        guard try reader.integer("version") == 1 else {
            throw Self.bad(path, "`version: 1` is required, the only version that this program reads")
        }
        func resolve(_ name: String) -> String {
            URL(fileURLWithPath: Self.withHome(name), relativeTo: url.deletingLastPathComponent())
                .path
        }
        model = try reader.string("model").map(resolve)
        precision = try reader.string("precision")
        if let precision, !ModelSettings.precisions.contains(precision) {
            let known = ModelSettings.precisions.joined(separator: ", ")
            throw Self.bad(path, "`precision` is \(precision); use one of \(known)", root["precision"])
        }
        keyValues = try reader.string("kv")
        if let keyValues, !ModelSettings.keyValueTypes.contains(keyValues) {
            throw Self.bad(path, "`kv` must be auto, bf16 or int8, not \(keyValues)", root["kv"])
        }
        guard let list = root["inputs"], let sequence = list.sequence, !sequence.isEmpty else {
            throw Self.bad(path, "`inputs` must be a list of files and folders")
        }
        inputs = try sequence.map { entry in
            guard let name = entry.string, !name.isEmpty else {
                throw Self.bad(path, "each input must be a path", entry)
            }
            return resolve(name)
        }
        recursive = try reader.boolean("recursive") ?? true
        minimumAge = try reader.duration("min_age")
        framesPerSecond = try reader.number("fps", in: 0.001...240)
        stream = try reader.index("stream")
        reuse = try reader.reuse()
        if let node = root["questions"], node.sequence == nil {
            throw Self.bad(path, "`questions` must be a list", node)
        }
        questions = try (root["questions"]?.sequence.map(Array.init) ?? []).enumerated().map {
            try Self.question($1, index: $0, path)
        }
        guard Set(questions.map(\.id)).count == questions.count else {
            throw Self.bad(path, "two questions have the same id; each `id` must be unique")
        }
        output = try reader.string("output").map(resolve)
        if !questions.isEmpty, output == nil {
            throw Self.bad(path, "`output` is missing: the JSON lines file that answers are appended to")
        }
    }

    private static func question(_ node: Node, index: Int, _ path: String) throws -> PipelineQuestion {
        if let text = node.string {
            return PipelineQuestion(id: "q\(index + 1)", text: text, from: nil, to: nil, maxTokens: nil, fusion: nil)
        }
        guard let mapping = node.mapping else {
            throw bad(path, "a question must be text or a mapping with `ask`", node)
        }
        let keys = Keys(path: path, mapping: mapping, where: "in question \(index + 1)")
        try keys.allow(["id", "ask", "from", "to", "max_tokens", "fusion", "answer"])
        guard let text = try keys.string("ask") else {
            throw bad(path, "question \(index + 1): `ask` is missing", node)
        }
        let (from, to) = (try keys.duration("from"), try keys.duration("to"))
        if let from, let to, from >= to { throw bad(path, "question \(index + 1): `from` must be before `to`", node) }
        let mode = try keys.string("fusion")
        let fusion = mode.flatMap(FusionMode.init)
        guard mode == nil || fusion != nil else {
            throw bad(path, "question \(index + 1): `fusion` must be auto or exact, not \(mode ?? "")", node)
        }
        var question = PipelineQuestion(
            id: try keys.string("id") ?? "q\(index + 1)", text: text, from: from, to: to,
            maxTokens: try keys.integer("max_tokens"), fusion: fusion)
        question.form = try answerForm(mapping["answer"], path)
        return question
    }

    /// Expands "~/" to $HOME, as the shell does.
    private static func withHome(_ name: String) -> String {
        guard name == "~" || name.hasPrefix("~/") else { return name }
        return (ProcessInfo.processInfo.environment["HOME"] ?? NSHomeDirectory()) + name.dropFirst()
    }

    static func bad(_ path: String, _ problem: String, _ node: Node? = nil) -> LongtakeError {
        let line = node?.mark.map { ":\($0.line)" } ?? ""
        return LongtakeError(
            code: .badPipeline, message: "\(path)\(line): \(problem.split(separator: "\n").joined(separator: "; "))")
    }
}

/// One question of a pipeline.
package struct PipelineQuestion: Sendable {
    /// Unique in the file; "q1", "q2", … by default.
    package let id: String
    /// The question's text.
    package let text: String
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    package let from: Double?
    /// End of the range, not included; nil: the recording's end.
    package let to: Double?
    /// Most tokens of the answer; nil: `Question.defaultMaxTokens`.
    package let maxTokens: Int?
    /// Which frames the text is fused with; nil: automatic.
    package let fusion: FusionMode?
    /// The form of the answer; nil: free text.
    package var form: AnswerForm?

    /// The question as it is asked.
    var request: Question {
        var question = Question(
            text, from: from, to: to, maxTokens: maxTokens ?? Question.defaultMaxTokens, fusion: fusion ?? .automatic)
        question.id = id
        question.form = form
        return question
    }
}

/// Reads a mapping by expected type: YAML 1.1 turns `no` into a boolean and `1:30` into a number.
private struct Keys {
    let path: String
    let mapping: Node.Mapping
    let `where`: String

    func allow(_ known: [String]) throws {
        for (key, _) in mapping {
            guard let name = key.string, known.contains(name) else {
                let name = key.string ?? "?"
                let hint =
                    Spelling.suggestion(for: name, among: known).map { "did you mean `\($0)`?" }
                    ?? "known keys: \(known.joined(separator: ", "))"
                throw PipelineFile.bad(path, "unknown key `\(name)` \(`where`); \(hint)", key)
            }
        }
    }

    func string(_ key: String) throws -> String? {
        guard let node = mapping[key] else { return nil }
        guard let scalar = node.scalar?.string, !scalar.isEmpty else {
            throw PipelineFile.bad(path, "`\(key)` must be text", node)
        }
        return scalar
    }

    func integer(_ key: String) throws -> Int? {
        guard let node = mapping[key] else { return nil }
        guard let value = node.scalar.flatMap({ Int($0.string) }), value > 0 else {
            throw PipelineFile.bad(path, "`\(key)` must be a whole number, 1 or more", node)
        }
        return value
    }

    func index(_ key: String) throws -> Int? {
        guard let node = mapping[key] else { return nil }
        guard let value = node.scalar.flatMap({ Int($0.string) }), value >= 0 else {
            throw PipelineFile.bad(path, "`\(key)` must be a whole number, 0 or more", node)
        }
        return value
    }

    func reuse() throws -> IndexOptions.Reuse? {
        guard let node = mapping["reuse"] else { return nil }
        guard let value = node.scalar.flatMap({ IndexOptions.Reuse($0.string) }), value.isInRange else {
            throw PipelineFile.bad(path, "`reuse` must be off, exact, auto or a number from 0 to 255", node)
        }
        return value
    }

    func number(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let node = mapping[key] else { return nil }
        guard let value = node.scalar.flatMap({ DecimalNumber($0.string)?.value }), range.contains(value) else {
            throw PipelineFile.bad(
                path, "`\(key)` must be a number from \(range.lowerBound) to \(range.upperBound)", node)
        }
        return value
    }

    func boolean(_ key: String) throws -> Bool? {
        guard let node = mapping[key] else { return nil }
        switch node.scalar?.string {
        case "true": return true
        case "false": return false
        default: throw PipelineFile.bad(path, "`\(key)` must be true or false", node)
        }
    }

    func duration(_ key: String) throws -> Double? {
        guard let node = mapping[key] else { return nil }
        guard let text = node.scalar?.string, let seconds = TimeText.seconds(text) else {
            throw PipelineFile.bad(path, "`\(key)` must be a time such as 90, 10m or \"01:30:00\"", node)
        }
        return seconds
    }
}
