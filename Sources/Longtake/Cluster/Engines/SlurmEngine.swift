internal import Foundation

/// Slurm: one array job per kind of shard, whose task numbers are those of the shards.
///
/// The run is identified by the job's name, the plan's id: job numbers are given out again after a controller has lost
/// its newest state. Jobs carry an attempt counter of their own for the same reason.
package struct SlurmEngine: ClusterEngine {
    package static let name = "slurm"
    /// The numbers of an array end before this unless the controller says otherwise.
    static let arraySize = 1001

    package var name: String { Self.name }
    private let run: ClusterRun
    private let request: ClusterRequest

    package init(_ run: ClusterRun, _ request: ClusterRequest) {
        (self.run, self.request) = (run, request)
    }

    private static func program(_ name: String) -> EngineProgram { EngineProgram(name: name, package: "slurm-client") }

    /// A script and what it depends on.
    struct Job {
        /// Name of its file in the run's folder.
        let file: String
        let text: String
        let kind: ClusterUnit.Kind?
    }

    /// The scripts, in the order of their submission.
    func jobs(arraySize: Int) throws -> [Job] {
        var jobs: [Job] = []
        for stage in try run.openStages() {
            for (offset, shards) in Self.arrays(stage.shards, size: arraySize) {
                let number = jobs.count { $0.kind == stage.kind }
                jobs.append(
                    Job(
                        file: "slurm-\(stage.kind.rawValue)-\(number).sh",
                        text: script(stage, offset: offset, shards), kind: stage.kind))
            }
        }
        if let collect = request.collect, !jobs.isEmpty {
            jobs.append(Job(file: "slurm-collect.sh", text: script(collect), kind: nil))
        }
        return jobs
    }

    /// Divides shards into arrays with numbers below `size`, each with what is to be added to its numbers.
    static func arrays(_ shards: [Int], size: Int) -> [(offset: Int, shards: [Int])] {
        Dictionary(grouping: shards) { $0 / size * size }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Numbers as Slurm takes them: 0-3,7.
    static func ranges(_ numbers: [Int]) -> String {
        var ranges: [(Int, Int)] = []
        for number in numbers {
            if let last = ranges.last, last.1 == number - 1 {
                ranges[ranges.count - 1].1 = number
            } else {
                ranges.append((number, number))
            }
        }
        return ranges.map { $0 == $1 ? "\($0)" : "\($0)-\($1)" }.joined(separator: ",")
    }

    private var resources: [String] {
        var lines: [String] = []
        if let partition = request.partition { lines.append("--partition=\(partition)") }
        if let cores = request.cores { lines.append("--cpus-per-task=\(cores)") }
        if let memory = request.memory { lines.append("--mem=\((memory + (1 << 20) - 1) >> 20)M") }
        return lines
    }

    private func head(_ options: [String]) -> String {
        (["#!/bin/bash"] + options.map { "#SBATCH \($0)" }).joined(separator: "\n")
    }

    private func script(_ stage: ClusterStage, offset: Int, _ shards: [Int]) -> String {
        let numbers = Self.ranges(shards.map { $0 - offset }) + (request.jobs.map { "%\($0)" } ?? "")
        var options = [
            "--job-name=\(run.plan.id)", "--array=\(numbers)", "--requeue", "--open-mode=append",
            "--signal=B:USR1@120", "--output=logs/%x-%A_%a.out",
        ]
        if let seconds = run.timeLimit(stage, request) {
            options.append("--time=\(max(1, Int(saturating: (seconds / 60).rounded(.up))))")
        }
        return """
            \(head(options + resources))
            run=\(ClusterRequest.quoted(run.path))
            shard=$((\(offset) + SLURM_ARRAY_TASK_ID))
            # The worker seals what it has and leaves with status 75.
            trap 'kill -TERM $worker 2>/dev/null' USR1 TERM
            \(ClusterRequest.line(request.worker)) $shard &
            worker=$!
            wait $worker
            status=$?
            # A signal ends wait, not the worker.
            while kill -0 $worker 2>/dev/null; do
                wait $worker
                status=$?
            done
            # Status 75: here and now it is not possible. The count is our own: Slurm's is lost with its controller's state.
            if [ $status = 75 ] && [ ! -e "$run/canceled" ]; then
                tries=$run/attempts/$shard.slurm-$SLURM_ARRAY_JOB_ID
                if echo >>"$tries" && [ $(wc -l <"$tries") -le \(request.retries) ]; then
                    trap - USR1 TERM
                    scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID && sleep 60
                fi
            fi
            exit $status

            """
    }

    private func script(_ collect: [String]) -> String {
        let options = [
            "--job-name=\(run.plan.id)", "--requeue", "--open-mode=append", "--output=logs/%x-collect-%j.out",
        ]
        return """
            \(head(options + resources))
            exec \(ClusterRequest.line(collect))

            """
    }

    private func arguments(_ job: Job, after jobs: [String]) -> [String] {
        var arguments = ["--parsable", "--chdir=\(run.path)"]
        // Not afterok: where one shard failed for good it would wait for ever.
        if !jobs.isEmpty { arguments.append("--dependency=afterany:" + jobs.joined(separator: ":")) }
        return arguments + [run.path + "/" + job.file]
    }

    package func preview() throws -> String {
        var names: [(Job, String)] = []
        var text = ""
        for job in try jobs(arraySize: request.arraySize ?? Self.arraySize) {
            let after = names.filter { Self.mustWait(job, for: $0.0) }.map(\.1)
            names.append((job, "JOB\(names.count + 1)"))
            text += "# \(run.path)/\(job.file)\n\(job.text)\n"
            text += "$ sbatch \(ClusterRequest.line(arguments(job, after: after)))\n\n"
        }
        return text
    }

    private static func mustWait(_ job: Job, for earlier: Job) -> Bool {
        earlier.kind == .index && job.kind != .index || job.kind == nil
    }

    package func submit(_ record: (ClusterSubmission) throws -> Void) throws {
        try Self.program("sbatch").check()
        var submission = run.newSubmission(name)
        try record(submission)
        var done: [(Job, String)] = []
        for job in try jobs(arraySize: request.arraySize ?? Self.configuredArraySize()) {
            _ = try run.store(job.text, as: job.file)
            let after = done.filter { Self.mustWait(job, for: $0.0) }.map(\.1)
            let printed = try Self.program("sbatch").run(arguments(job, after: after))
            // NUMBER, or NUMBER;CLUSTER.
            guard let id = printed.split(whereSeparator: { $0 == ";" || $0.isNewline }).first, Int(id) != nil else {
                throw Failure(
                    code: "engine_failed", message: "sbatch: it printed no job number: \(printed)",
                    exitCode: Exit.retry)
            }
            done.append((job, String(id)))
            submission.jobs.append(String(id))
            try record(submission)
        }
        submission.state = .submitted
        try record(submission)
    }

    private static func configuredArraySize() -> Int {
        let text = (try? program("scontrol").run(["show", "config"])) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("MaxArraySize") }
        return line?.split(separator: "=").last.flatMap { Int($0.filter { !$0.isWhitespace }) }.map { max(1, $0) }
            ?? arraySize
    }

    package func state(of submission: ClusterSubmission) throws -> ClusterEngineState {
        // By name: a number may be another job's by now. Ended ones are listed for as long as the controller keeps them.
        let printed = try Self.program("squeue").run([
            "--noheader", "--array", "--states=all", "--name=\(run.plan.id)", "--format=%T %r",
        ])
        var counts: [String: Int] = [:]
        for line in printed.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard let state = words.first else { continue }
            // Why a task waits is of interest unless it is only for its turn.
            let waits = state == "PENDING" && words.count > 1 && !["Priority", "Resources", "None"].contains(words[1])
            counts[state.lowercased() + (waits ? " (\(words[1]))" : ""), default: 0] += 1
        }
        let ended = [
            "completed", "failed", "cancelled", "timeout", "node_fail", "out_of_memory", "boot_fail", "deadline",
        ]
        let text = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
        return ClusterEngineState(
            isActive: counts.keys.contains { !ended.contains($0) },
            text: (submission.jobs.isEmpty
                ? "no job number is known" : "jobs " + submission.jobs.joined(separator: ", "))
                + ": " + (text.isEmpty ? "Slurm lists none any more" : text.joined(separator: ", ")))
    }

    package func cancel(_ submission: ClusterSubmission) throws {
        try Self.program("scancel").run(["--name=\(run.plan.id)"])
    }
}
