internal import Foundation
internal import Glibc
internal import SystemCalls
internal import Yams

/// A pipeline read from its YAML file: the inputs to index, the questions to ask and the outputs.
///
/// Relative paths are resolved against the file's folder. An unknown key is an error that suggests the nearest known
/// one.
package struct PipelineFile: Sendable {
    /// Largest pipeline file, in bytes.
    private static let maxBytes = 1 << 20

    /// Path of the YAML file as given.
    package let path: String
    /// What the pipeline's runs and answers are stored under: its `name`, else the absolute path of its file.
    package let identity: String
    /// Path of the model's folder; nil if the file does not name one.
    package let model: String?
    /// The name of the compute precision; nil: as the command line or environment sets it.
    package let precision: String?
    /// Type of cached keys and values, one of `ModelSettings.keyValueTypes`; nil: as the command line or environment
    /// sets it.
    package let keyValues: String?
    /// Files and folders with the recordings.
    package let inputs: [PipelineInput]
    /// The order in which recordings are taken.
    package let order: PipelineOrder
    /// How frames are sampled and kept.
    package let sampling: PipelineSampling
    /// Limits of a run.
    package let limits: PipelineLimits
    /// The questions asked about each recording.
    package private(set) var questions: [PipelineQuestion]
    /// Where answers go; empty without questions.
    package private(set) var outputs: [PipelineOutput]
    /// What becomes of the digest of each run; nil: nothing.
    private(set) var digest: PipelineDigest?
    /// Where the report of each run is written; nil: nowhere.
    package private(set) var report: PathTemplate?
    /// What is told about answers and failures.
    package private(set) var alerts: [PipelineAlert]
    /// When and where the recordings were made, and which of them are asked about.
    package internal(set) var clock: ClockSettings
    /// Which of them are asked about, as text; `clock.selection` is what it meant when the file was read or a run began.
    package var selection: PipelineSelection

    /// Reads and checks a pipeline file.
    ///
    /// - Parameter text: the file's text, if it was read before.
    /// - Throws: `LongtakeError` `bad_pipeline`, with the line number if YAML reports one; `interrupted`.
    package init(
        path: String, text: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment,
        cancellation: Cancellation = Cancellation()
    ) throws {
        self.path = path
        let text = try text ?? Self.text(of: path, cancellation)
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw Self.bad(path, "\(error)")
        }
        guard let root = node?.mapping else { throw Self.bad(path, "must be a mapping that begins with `version: 1`") }
        let variables = try PipelineVariables(path: path, root, environment: environment)
        let mapping = try variables.replaced(.mapping(root)).mapping ?? root
        let reader = PipelineKeys(path: path, mapping: mapping, where: "at the top")
        try reader.allow(
            [
                "version", "name", "vars", "model", "precision", "kv", "inputs", "recursive", "exclude", "order",
                "max_tokens", "questions", "output", "outputs", "digest", "report", "alerts",
            ] + PipelineSampling.keys + PipelineLimits.keys + PipelineAnswerSettings.keys + Self.clockKeys)
        guard try reader.integer("version") == 1 else {
            throw Self.bad(path, "`version: 1` is required, the only version that this program reads")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        func resolve(_ name: String) -> String {
            URL(fileURLWithPath: Self.withHome(name), relativeTo: folder).path
        }
        identity = try reader.string("name") ?? URL(fileURLWithPath: path).standardizedFileURL.path
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
        inputs = try PipelineInput.read(reader, resolve: resolve)
        order = try reader.choice("order", PipelineOrder.self) ?? .newest
        sampling = try PipelineSampling(reader)
        limits = try PipelineLimits(reader)
        (clock, selection) = try Self.clock(in: mapping, path)
        questions = try PipelineQuestion.read(reader)
        outputs = try PipelineOutput.read(reader, resolve: resolve)
        digest = try PipelineDigest.read(reader, resolve: resolve)
        report = try reader.string("report").map { text in
            do {
                return try PathTemplate(ofRun: resolve(text), what: "report")
            } catch { throw reader.bad(Failure(error).message, mapping["report"]) }
        }
        alerts = try PipelineAlert.read(reader, questions: questions)
        if !questions.isEmpty, outputs.isEmpty, alerts.isEmpty {
            throw Self.bad(
                path,
                "`output` is missing: the JSON lines file that answers are appended to; or list several in `outputs`")
        }
    }

    /// The same pipeline without outputs, whose answers stay in the catalog.
    ///
    /// Questions for what is new are left out, with those whose condition is about one: what is new depends on all runs.
    var onlyQuestions: PipelineFile {
        var copy = self
        (copy.outputs, copy.digest, copy.report, copy.alerts) = ([], nil, nil, [])
        var left: Set<String> = []
        copy.questions = questions.filter { question in
            guard question.isForNew || question.condition?.subject.map(left.contains) == true else { return true }
            left.insert(question.id)
            return false
        }
        return copy
    }

    static func text(of path: String, _ cancellation: Cancellation) throws -> String {
        guard access(path, R_OK) == 0 else {
            let error = SystemError.last
            throw bad(path, error.number == ENOENT ? "no such pipeline file" : "cannot read: \(error)")
        }
        let bytes: [UInt8]?
        do {
            bytes = try FileBytes(path: path, cancellation: cancellation).all(limit: maxBytes)
        } catch let error as LongtakeError where error.code == .badRequest {
            throw LongtakeError(code: .badPipeline, message: error.message)
        }
        guard let bytes else { throw bad(path, "longer than \(maxBytes) bytes, the limit for a pipeline file") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw bad(path, "not valid UTF-8") }
        if let fault = YAMLCheck.fault(in: text) {
            throw LongtakeError(code: .badPipeline, message: "\(path):\(fault.line): \(fault.reason)")
        }
        return text
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
