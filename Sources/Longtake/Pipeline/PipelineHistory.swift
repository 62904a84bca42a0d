internal import Foundation
internal import Glibc
internal import Store

/// What the catalog knows of a pipeline's runs and of the files that failed in them.
final class PipelineHistory {
    private let catalog: Catalog
    private let pipeline: String
    private let runID: String
    private let started: String
    private var pauses: Pauses

    /// How often a file is tried before it is set aside.
    static let mostTries = 5
    /// Seconds until a failed file is tried again: less than a day, then twice as long each time.
    static let firstPause = 20.0 * 3600

    init(_ file: PipelineFile, catalog: Catalog, runID: String, started: String) throws {
        self.catalog = catalog
        pipeline = file.identity
        self.runID = runID
        self.started = started
        pauses = try Pauses(file, catalog)
        // Only one run holds the pipeline's lock, so a run that is still "running" was killed.
        for var run in try catalog.runs(pipeline: file.identity, limit: 20) where run.state == "running" {
            run.state = "killed"
            try catalog.record(run: run)
        }
        try catalog.record(run: Catalog.RunRow(id: runID, pipeline: pipeline, state: "running", started: started))
    }

    /// Seconds per frame in the latest run that encoded frames; nil if unknown.
    private(set) lazy var secondsPerFrame: Double? = {
        let decoder = JSONDecoder()
        return (try? catalog.runs(pipeline: pipeline, limit: 20))?.lazy.compactMap { run in
            run.summary.flatMap { try? decoder.decode(BatchSummary.self, from: Data($0.utf8)) }?.secondsPerFrame
        }.first
    }()

    /// When a file is tried again, in seconds since 1970; nil: not before it changes.
    static func nextTry(_ failure: Catalog.FileFailureRow) -> Double? {
        guard failure.tries < mostTries else { return nil }
        return Double(failure.last) + firstPause * pow(2, Double(max(0, failure.tries - 1)))
    }

    /// Why a file is not tried by this run; nil if it is.
    func pause(of file: InputPath, now: Int64) -> Failure? { pauses.pause(of: file, now: now) }

    /// The files of a pipeline that failed.
    struct Pauses {
        var failures: [String: Catalog.FileFailureRow]

        init(_ file: PipelineFile, _ catalog: Catalog) throws {
            failures = Dictionary(
                try catalog.failures(pipeline: file.identity).map { ($0.path, $0) },
                uniquingKeysWith: { first, _ in first })
        }

        /// Why a file is not tried now; nil if it is.
        func pause(of file: InputPath, now: Int64) -> Failure? {
            guard let known = failures[file.absolute.description], known.stamp == PipelineHistory.stamp(of: file) else {
                return nil
            }
            let (tries, message) = (known.tries, known.message)
            if tries >= PipelineHistory.mostTries {
                return Failure(
                    code: "set_aside",
                    message: "\(message); set aside after \(tries) tries, until it changes", exitCode: 0,
                    remedy: .retryFailed)
            }
            guard let next = PipelineHistory.nextTry(known), Double(now) < next else { return nil }
            return Failure(
                code: "paused",
                message: "\(message); tried again after \(PipelineHistory.date(Int64(saturating: next)))", exitCode: 0,
                remedy: .retryFailed)
        }
    }

    /// Records that a file failed; one that does not exist has no state to wait for.
    func failed(_ file: InputPath, _ failure: Failure, now: Int64) throws {
        guard let stamp = Self.stamp(of: file), failure.exitCode == Exit.input else { return }
        let path = file.absolute.description
        let before = pauses.failures[path].flatMap { $0.stamp == stamp ? $0.tries : nil } ?? 0
        let row = Catalog.FileFailureRow(
            pipeline: pipeline, path: path, stamp: stamp, tries: before + 1, last: now, code: failure.code,
            message: failure.message)
        pauses.failures[path] = row
        try catalog.record(failure: row)
    }

    /// Forgets a file's failures after it was indexed.
    func succeeded(_ file: InputPath) throws {
        let path = file.absolute.description
        guard pauses.failures.removeValue(forKey: path) != nil else { return }
        try catalog.removeFailure(pipeline: pipeline, path: path)
    }

    func record(_ file: Catalog.RunFileRow) throws { try catalog.record(file: file) }

    func finish(_ summary: BatchSummary, error: Failure? = nil) throws {
        let isStopped = summary.stopped != nil
        let state =
            error != nil && !isStopped ? "failed" : isStopped ? "stopped" : summary.isPartial ? "partial" : "done"
        try catalog.record(
            run: Catalog.RunRow(
                id: runID, pipeline: pipeline, state: state, started: started, ended: Date().formatted(.iso8601),
                summary: try JSONText.line(summary), error: error.map { "\($0.code): \($0.message)" }))
    }

    /// Identifies a file's state without reading it; nil if there is no file.
    static func stamp(of file: InputPath) -> String? {
        FileFingerprint(path: file.absolute.bytes).map {
            "\($0.size) \($0.modified) \($0.changed.map { "\($0)" } ?? "") \($0.inode)"
        }
    }

    private static func date(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}
