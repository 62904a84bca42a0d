internal import Foundation
internal import Glibc
internal import Store

/// Writes a pipeline's answers to its outputs, each exactly once, whenever the run is killed.
///
/// The catalog gets an answer first, with the files it is to be appended to; then the files get it; then the catalog
/// forgets the files. What a killed run left in between is completed by the next one without asking again. The documents
/// of a recording are written when all is asked about it; until then the catalog keeps that they are to be written.
final class AnswerWriter {
    private let outputs: [PipelineOutput]
    private let catalog: Catalog
    private let pipeline: String
    private let runID: String
    /// Start of the run, in seconds since 1970.
    private let time: Int
    private let cancellation: Cancellation
    private let messages: AlertMessage
    private let sender: AlertSender
    private var files: [String: AnswersFile] = [:]
    private var databases: [String: AnswersDatabase] = [:]
    private var waiting: [(row: Catalog.RunAnswerRow, values: PathTemplate.Values)] = []
    private var coverage: [Catalog.CoverageRow] = []
    private var lastFlush = ContinuousClock.now
    /// The index whose answers each document has, so that no other recording's replace them.
    private var owners: [String: String] = [:]
    /// The indexes whose documents a run that was killed or failed has not written with all answers.
    private(set) var unfinished: Set<String> = []
    /// What the catalog keeps of an answer that is in all files but the documents of its recording.
    private static let documents = "documents"
    private var hasDocuments: Bool { outputs.contains(where: \.format.isOfRecording) }
    /// The page of the report about a recording, by its index ID.
    var report: (String) throws -> String = { _ in "" }

    init(
        _ file: PipelineFile, catalog: Catalog, runID: String, time: Int, sender: AlertSender,
        cancellation: Cancellation
    ) {
        outputs = file.outputs
        pipeline = file.identity
        self.catalog = catalog
        self.runID = runID
        self.time = time
        self.cancellation = cancellation
        self.sender = sender
        messages = AlertMessage(file: file, runID: runID)
    }

    /// Opens the outputs that do not depend on the recording, so that an unusable one is reported before hours of work.
    func open() throws {
        for output in outputs where !output.path.isPerRecording {
            let path = output.path.path(time: time)
            if output.format.isAppended { _ = try file(output.format, path) }
            if output.format == .sqlite { _ = try database(path) }
        }
    }

    /// Completes what a killed run left, then returns the keys of all answers that were given before.
    ///
    /// A catalog without any of them was lost or has never seen the pipeline: the answers are then taken from its
    /// outputs of JSON lines.
    func known(note: (String) -> Void) throws -> Set<String> {
        try complete(note: note)
        let keys = try catalog.answerKeys(pipeline: pipeline)
        guard keys.isEmpty else { return keys }
        var found: [String: Catalog.RunAnswerRow] = [:]
        for output in outputs where output.format == .jsonl && !output.path.isPerRecording {
            let file = try file(output.format, output.path.path(time: time))
            let remark = try file.answers(cancellation) { known, line in
                found[known.key] = Catalog.RunAnswerRow(
                    pipeline: pipeline, key: known.key, run: known.run ?? "", indexID: known.recording?.index ?? "",
                    questionID: known.questionID ?? "", line: line, output: nil)
            }
            if let remark { note(remark) }
        }
        try catalog.record(answers: found.values.sorted { $0.key < $1.key })
        return Set(found.keys)
    }

    /// Writes the answers of which a killed run may not have written all.
    private func complete(note: (String) -> Void) throws {
        let rows = try catalog.answers(pipeline: pipeline, unwritten: true)
        guard !rows.isEmpty else { return }
        var missing: [String: [Catalog.RunAnswerRow]] = [:]
        for row in rows {
            for target in (row.output ?? "").split(separator: "\n") { missing[String(target), default: []].append(row) }
        }
        var added = 0
        for (target, rows) in missing.sorted(by: { $0.key < $1.key }) {
            let parts = target.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2, let format = PipelineOutput.Format(rawValue: parts[0]) else { continue }
            guard format.isAppended else {
                for row in rows { try insert(row, into: parts[1]) }
                continue
            }
            let file = try file(format, parts[1])
            let there = try file.found(Set(rows.map(\.key)), isJSON: format == .jsonl, cancellation)
            for row in rows where !there.contains(row.key) {
                try file.append(text: Self.text(row, format))
                added += 1
            }
            try file.flush()
        }
        let late = hasDocuments ? rows.filter { Self.needsDocuments($0) } : []
        unfinished = Set(late.map(\.indexID))
        try catalog.setWritten(late.map(\.key), pipeline: pipeline, rest: Self.documents)
        let done = Set(rows.map(\.key)).subtracting(late.map(\.key))
        try catalog.setWritten(done.sorted(), pipeline: pipeline)
        if added > 0 { note("\(counted(added, "answer")) of a run that was killed added to the output") }
    }

    private static func needsDocuments(_ row: Catalog.RunAnswerRow) -> Bool {
        (row.output ?? "").split(separator: "\n").contains(Substring(documents))
    }

    /// Takes an answer; it is in the outputs after the next `flush`.
    ///
    /// - Parameter covered: what is covered once it is given.
    func add(
        _ row: Catalog.RunAnswerRow, _ values: PathTemplate.Values, covered: Catalog.CoverageRow? = nil
    ) throws {
        waiting.append((row, values))
        if let covered { coverage.append(covered) }
        if waiting.count >= 64 || ContinuousClock.now - lastFlush > .seconds(1) { try flush() }
    }

    /// Writes the answers taken since the last call.
    func flush() throws {
        defer { lastFlush = .now }
        guard !waiting.isEmpty else { return }
        let kept = outputs.filter { !$0.format.isOfRecording }
        var rows = waiting.map(\.row)
        for index in rows.indices where !rows[index].line.isEmpty {
            let targets = kept.map { "\($0.format) \($0.path.path(time: time, recording: waiting[index].values))" }
            let all = targets + (hasDocuments ? [Self.documents] : [])
            rows[index].output = all.isEmpty ? nil : all.joined(separator: "\n")
        }
        let findings = rows.flatMap { messages.findings(of: $0) }
        try catalog.record(answers: rows, alerts: findings, coverage: coverage)
        coverage = []
        sender.send(findings)
        var touched: Set<String> = []
        for (row, values) in waiting where !row.line.isEmpty {
            for output in kept {
                let path = output.path.path(time: time, recording: values)
                guard output.format.isAppended else {
                    try insert(row, into: path)
                    continue
                }
                try file(output.format, path).append(text: Self.text(row, output.format))
                touched.insert(path)
            }
        }
        for path in touched { try files[path]?.flush() }
        try catalog.setWritten(
            rows.filter { $0.output != nil }.map(\.key), pipeline: pipeline, rest: hasDocuments ? Self.documents : nil)
        waiting = []
    }

    private static func text(_ row: Catalog.RunAnswerRow, _ format: PipelineOutput.Format) throws -> String {
        guard format == .csv else { return row.line + "\n" }
        let record = try JSONDecoder().decode(AnswerRecord.self, from: Data(row.line.utf8))
        // The key comes last, so that a row can be found again.
        return AnswerExport.rows(record).split(separator: "\r\n").map {
            "\($0),\(AnswerExport.quoted(row.questionID)),\(row.run),\(row.key)\r\n"
        }.joined()
    }

    private func insert(_ row: Catalog.RunAnswerRow, into path: String) throws {
        do {
            try database(path).insert(AnswersDatabase.Row(pipeline: row.pipeline, key: row.key, line: row.line))
        } catch {
            throw AnswersFile.cannotWrite(path, error)
        }
    }

    private func file(_ format: PipelineOutput.Format, _ path: String) throws -> AnswersFile {
        if let file = files[path] { return file }
        let head =
            format == .csv
            ? AnswerExport.csvHead.replacingOccurrences(of: "\r\n", with: ",question_id,run_id,key\r\n") : ""
        let file = try AnswersFile(path: path, head: head)
        files[path] = file
        return file
    }

    private func database(_ path: String) throws -> AnswersDatabase {
        if let database = databases[path] { return database }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let database: AnswersDatabase
        do { database = try AnswersDatabase(path: path) } catch { throw AnswersFile.cannotWrite(path, error) }
        databases[path] = database
        return database
    }

    /// The answers about a recording, and those to questions for what is new about what it has grown from.
    ///
    /// - Parameter questions: IDs of those questions.
    private func records(
        _ recording: IndexedRecording, earlier: [String], _ questions: Set<String>
    ) throws -> [AnswerRecord] {
        let decoder = JSONDecoder()
        var rows = try earlier.flatMap { try catalog.answers(pipeline: pipeline, indexID: $0) }.filter {
            questions.contains($0.questionID)
        }
        rows += try catalog.answers(pipeline: pipeline, indexID: recording.index)
        var records: [AnswerRecord] = []
        // A window that was incomplete is asked about again from its start: the later answer counts.
        var windows: [String: Int] = [:]
        for row in rows where !row.line.isEmpty {
            var record = try decoder.decode(AnswerRecord.self, from: Data(row.line.utf8))
            // An answer about a window belongs to all of it.
            if record.segment != nil, !record.isSearch { record.evidence = [] }
            if questions.contains(row.questionID), let start = record.segment?.first {
                let place = "\(row.questionID) \(start)"
                if let before = windows[place] {
                    records[before] = record
                    continue
                }
                windows[place] = records.count
            }
            records.append(record)
        }
        return records
    }

    /// Records that the documents of a recording have all answers about it.
    func setDocumentsWritten(of indexID: String) throws {
        guard hasDocuments else { return }
        let rows = try catalog.answers(pipeline: pipeline, indexID: indexID, unwritten: true)
        try catalog.setWritten(rows.map(\.key), pipeline: pipeline)
        unfinished.remove(indexID)
    }

    /// Cuts the clips of a recording's answers; see `PipelineClips`.
    func writeClips(
        of recording: RecordingSummary, _ values: PathTemplate.Values, in library: Library, note: (String) -> Void
    ) throws -> [Failure] {
        let clips = PipelineClips(outputs, library: library, time: time, cancellation: cancellation)
        let lines = try catalog.answers(pipeline: pipeline, indexID: recording.index).map(\.line)
        return try clips.write(lines.filter { !$0.isEmpty }, of: recording, values, note: note)
    }

    /// Writes the documents of a recording again, with all of its pipeline's answers.
    ///
    /// - Parameters:
    ///   - earlier: the indexes of what it has grown from.
    ///   - questions: IDs of the questions for what is new.
    /// - Throws: `Failure` `cannot_write`; `LongtakeError` `bad_pipeline` if another recording has the same document.
    func writeDocuments(
        of recording: IndexedRecording, _ values: PathTemplate.Values, name: String, end: Double?,
        earlier: [String], forNew questions: Set<String>
    ) throws {
        let documents = outputs.filter(\.format.isDocument)
        guard !documents.isEmpty else { return }
        let records = try records(recording, earlier: earlier, questions)
        for output in documents {
            let path = output.path.path(time: time, recording: values)
            if let owner = owners[path], owner != recording.id {
                throw LongtakeError(
                    code: .badPipeline,
                    message: "\(path) would hold the answers about two recordings; use {folder} or {id} in its path")
            }
            owners[path] = recording.id
            let text =
                try output.format.document.map {
                    try AnswerExport($0).document(records, name: name, path: recording.path, end: end)
                } ?? report(recording.index)
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            do {
                try WholeFile.write(Array(text.utf8), to: path)
            } catch {
                throw AnswersFile.cannotWrite(path, error)
            }
        }
    }
}
