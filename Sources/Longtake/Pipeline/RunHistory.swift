internal import Foundation
internal import Store

/// A run of a pipeline, as the catalog has it.
package struct RunRecord: Sendable, Encodable {
    /// Unique ID of the run.
    package let id: String
    /// The pipeline's `name`, or the absolute path of its file.
    package let pipeline: String
    /// `running`, `done`, `partial`, `stopped`, `failed` or `killed`.
    package let state: String
    /// Start and end, RFC 3339; no end while the run is going on.
    package let started: String
    package let ended: String?
    /// Counts and times; nil while the run is going on.
    package let summary: BatchSummary?
    /// Why the run failed; nil if it did not.
    package let error: String?
    /// What was done with each file; nil in lists of runs.
    package var files: [File]?

    /// What a run did with a file.
    package struct File: Sendable, Encodable {
        /// The file's path.
        package let path: String
        /// `new`, `resumed`, `unchanged`, `stopped` or `failed`.
        package let action: String
        /// The index; nil if there is none.
        package let index: String?
        /// Frames encoded by the run.
        package let frames: Int
        /// Answers given by the run.
        package let answers: Int
        /// Seconds spent on the file.
        package let seconds: Double
        /// Why the file failed; nil if it did not.
        package let error: String?

        init(_ row: Catalog.RunFileRow) {
            path = row.path
            action = row.action
            index = row.indexID
            frames = Int(clamping: row.frames)
            answers = Int(clamping: row.answers)
            seconds = Double(row.milliseconds) / 1000
            error = row.error
        }
    }

    init(_ row: Catalog.RunRow) {
        id = row.id
        pipeline = row.pipeline
        state = row.state
        started = row.started
        ended = row.ended
        summary = row.summary.flatMap { try? JSONDecoder().decode(BatchSummary.self, from: Data($0.utf8)) }
        error = row.error
    }
}

/// A file that a pipeline could not index.
package struct FailedFile: Sendable, Encodable {
    /// The pipeline's `name`, or the absolute path of its file.
    package let pipeline: String
    /// The file's path.
    package let path: String
    /// How often it was tried without change.
    package let tries: Int
    /// When it was last tried, RFC 3339.
    package let last: String
    /// When it is tried again, RFC 3339; nil: it is set aside until it changes.
    package let next: String?
    /// Code and text of the last error.
    package let code: String
    package let message: String

    init(_ row: Catalog.FileFailureRow) {
        pipeline = row.pipeline
        path = row.path
        tries = Int(clamping: row.tries)
        last = Date(timeIntervalSince1970: Double(row.last)).formatted(.iso8601)
        next = PipelineHistory.nextTry(row).map { Date(timeIntervalSince1970: $0).formatted(.iso8601) }
        code = row.code
        message = row.message
    }
}

/// A finding of a pipeline that an alert is about.
package struct AlertRecord: Sendable, Encodable {
    /// The pipeline's `name`, or the absolute path of its file.
    package let pipeline: String
    /// The alert's ID.
    package let alert: String
    /// The run that found it.
    package let run: String
    /// Key of the answer, or another name of the finding.
    package let finding: String
    /// `pending`, `sending`, `sent` or `failed`.
    package let state: String
    /// How often sending failed.
    package let tries: Int
    /// When it is tried again at the earliest, RFC 3339; nil unless it is pending and was tried.
    package let next: String?
    /// Why it was not sent; nil if it was or was not tried.
    package let error: String?

    init(_ row: Catalog.AlertRow) {
        pipeline = row.pipeline
        alert = row.alert
        run = row.run
        finding = row.key
        state = row.state
        tries = Int(clamping: row.tries)
        next =
            row.state == "pending" && row.next > 0
            ? Date(timeIntervalSince1970: Double(row.next)).formatted(.iso8601) : nil
        error = row.error
    }
}

extension Library {
    /// Returns the findings of pipelines, in the order in which they were found.
    package func alerts(pipeline: String? = nil) throws -> [AlertRecord] {
        try catalog.alerts(pipeline: pipeline.map(Self.pipelineIdentity)).map { AlertRecord($0) }
    }

    /// Returns the latest runs of pipelines, the last started first.
    ///
    /// - Parameters:
    ///   - pipeline: only this pipeline's, by its `name` or the path of its file; nil: all.
    ///   - limit: the largest number of runs.
    package func runs(pipeline: String? = nil, limit: Int) throws -> [RunRecord] {
        try catalog.runs(pipeline: pipeline.map(Self.pipelineIdentity), limit: limit).map { RunRecord($0) }
    }

    /// Returns a run with its files.
    ///
    /// - Parameter name: the run's ID, at least the first 4 characters of it, or "last".
    /// - Throws: `LongtakeError` `bad_request` if no run or several runs have this ID.
    package func run(matching name: String) throws -> RunRecord {
        let all = try catalog.runs(limit: .max)
        let found =
            name == "last"
            ? Array(all.prefix(1)) : all.filter { $0.id == name || name.count >= 4 && $0.id.hasPrefix(name) }
        guard let row = found.first, found.count == 1 else {
            throw LongtakeError(
                code: .badRequest,
                message: found.isEmpty
                    ? "no run \(name); `last` is the latest one"
                    : "\(name) matches \(found.count) runs; give more of the ID")
        }
        var run = RunRecord(row)
        run.files = try catalog.files(ofRun: row.id).map { RunRecord.File($0) }
        return run
    }

    /// Returns the answers of a run as the lines of JSON that its outputs got, in the order in which they were given.
    package func answerLines(of run: RunRecord) throws -> [String] {
        try catalog.answers(pipeline: run.pipeline, run: run.id).map(\.line).filter { !$0.isEmpty }
    }

    /// Returns the files that pipelines could not index.
    package func failedFiles(pipeline: String? = nil) throws -> [FailedFile] {
        try catalog.failures(pipeline: pipeline.map(Self.pipelineIdentity)).map { FailedFile($0) }
    }

    /// A pipeline's identity from its name or the path of its file.
    private static func pipelineIdentity(_ name: String) -> String {
        guard InputPath(name).exists else { return name }
        return (try? PipelineFile(path: name).identity) ?? URL(fileURLWithPath: name).standardizedFileURL.path
    }
}
