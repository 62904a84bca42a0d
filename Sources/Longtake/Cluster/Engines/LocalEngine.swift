internal import Foundation
internal import Glibc

/// This machine: GNU parallel if it is installed, else xargs.
package struct LocalEngine: ClusterEngine {
    package static let name = "local"

    package var name: String { Self.name }
    private let run: ClusterRun
    private let request: ClusterRequest
    private let cancellation: Cancellation

    package init(_ run: ClusterRun, _ request: ClusterRequest, cancellation: Cancellation) {
        (self.run, self.request, self.cancellation) = (run, request, cancellation)
    }

    /// A worker whose output goes to a file of its own.
    private var script: String {
        """
        #!/bin/bash
        exec >>\(ClusterRequest.quoted(run.path))/logs/local-"$1".out 2>&1
        exec \(ClusterRequest.line(request.worker)) "$1"

        """
    }

    private static let scriptName = "local-worker.sh"
    private func list(_ stage: ClusterStage) -> String { "local-\(stage.kind.rawValue).txt" }

    /// The program and its arguments for the shards in a file.
    private func command(_ stage: ClusterStage, parallel: Bool) -> (EngineProgram, [String]) {
        let worker = ["bash", run.path + "/" + Self.scriptName]
        let (file, jobs) = (run.path + "/" + list(stage), "\(request.jobs ?? 1)")
        guard parallel else {
            return (
                EngineProgram(name: "xargs", package: "findutils"), ["-P", jobs, "-n", "1", "-a", file] + worker
            )
        }
        return (
            EngineProgram(name: "parallel", package: "parallel"),
            [
                "--will-cite", "--jobs", jobs, "--joblog", "\(run.path)/logs/local-\(stage.kind.rawValue).tsv",
                // A second SIGTERM ends the workers, which need time for what they have.
                "--termseq", "TERM,60000,KILL,25", "--arg-file", file,
            ] + worker
        )
    }

    package func preview() throws -> String {
        var text = "# \(run.path)/\(Self.scriptName)\n\(script)\n"
        for stage in try run.openStages() {
            let (program, arguments) = command(stage, parallel: EngineProgram.exists("parallel"))
            text += "# \(run.path)/\(list(stage)): \(SlurmEngine.ranges(stage.shards)), one number on each line\n"
            text += "$ \(program.name) \(ClusterRequest.line(arguments))\n"
        }
        return text
    }

    package func submit(_ record: (ClusterSubmission) throws -> Void) throws {
        var submission = run.newSubmission(name)
        submission.state = .submitted
        _ = try run.store(script, as: Self.scriptName)
        try record(submission)
        for kind in [ClusterUnit.Kind.index, .ask] {
            for attempt in 0...request.retries {
                guard let stage = try run.openStages().first(where: { $0.kind == kind }) else { break }
                // What was not possible may be a little later: a full disk, storage that was away.
                for _ in 0..<(attempt * 10) where !cancellation.isCancelled { usleep(200_000) }
                let numbers = stage.shards.map { "\($0)\n" }.joined()
                _ = try run.store(numbers, as: list(stage))
                let (program, arguments) = command(stage, parallel: EngineProgram.exists("parallel"))
                do {
                    _ = try program.runGroup(arguments, cancellation)
                } catch {
                    submission.state = .ended
                    try record(submission)
                    throw error
                }
                if access(run.canceledPath, F_OK) == 0 { break }
            }
        }
        submission.state = .ended
        try record(submission)
    }

    package func state(of submission: ClusterSubmission) throws -> ClusterEngineState {
        guard submission.host == ClusterRun.host else {
            return ClusterEngineState(
                isActive: submission.state == .submitted, text: "on \(submission.host), which this is not")
        }
        let runs = submission.state == .submitted && Self.isSubmitting(submission.process)
        return ClusterEngineState(isActive: runs, text: runs ? "process \(submission.process)" : "ended")
    }

    /// Whether a process is one that submits: a number may have become another program's since.
    private static func isSubmitting(_ process: Int32) -> Bool {
        let words = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline")))?.split(separator: 0) ?? []
        return words.dropFirst().starts(with: ["cluster", "submit"].map { Data($0.utf8) })
    }

    package func cancel(_ submission: ClusterSubmission) throws {
        guard submission.state == .submitted else { return }
        guard submission.host == ClusterRun.host else {
            throw Failure(
                code: "engine_failed", message: "the workers run on \(submission.host); cancel there",
                exitCode: Exit.usage)
        }
        if Self.isSubmitting(submission.process), kill(submission.process, SIGTERM) != 0, errno != ESRCH {
            throw Failure(
                code: "engine_failed",
                message: "process \(submission.process) cannot be ended: \(String(cString: strerror(errno)))",
                exitCode: Exit.usage)
        }
    }
}
