internal import Foundation
internal import Hub

/// Ray: a job with a driver that starts one task per shard, submitted by Ray's REST interface.
package struct RayEngine: ClusterEngine {
    package static let name = "ray"
    /// Where Ray's dashboard listens by default.
    package static let address = "http://127.0.0.1:8265"

    package var name: String { Self.name }
    private let run: ClusterRun
    private let request: ClusterRequest
    private let cancellation: Cancellation

    package init(_ run: ClusterRun, _ request: ClusterRequest, cancellation: Cancellation) {
        (self.run, self.request, self.cancellation) = (run, request, cancellation)
    }

    /// What the driver reads.
    private struct Job: Encodable {
        let run: String
        let worker: [String]
        let collect: [String]?
        let stages: [[Int]]
        let cpus: Int
        let memory: Int64?
        let jobs: Int?
        let retries: Int
        let seconds: [Double?]
    }

    private func job() throws -> Job {
        let stages = try run.openStages()
        return Job(
            run: run.path, worker: request.worker, collect: request.collect, stages: stages.map(\.shards),
            cpus: request.cores ?? 1, memory: request.memory, jobs: request.jobs, retries: request.retries,
            seconds: stages.map { run.timeLimit($0, request) })
    }

    /// The body of the request that starts the job.
    private struct Start: Encodable {
        struct Environment: Encodable {
            let env_vars: [String: String]
        }
        let entrypoint: String
        let submission_id: String
        let runtime_env: Environment
    }

    private static let (driverName, jobName) = ("ray_driver.py", "ray_job.json")

    private func start(_ id: String) -> Start {
        Start(
            entrypoint: ClusterRequest.line(["python3", run.path + "/" + Self.driverName]), submission_id: id,
            runtime_env: Start.Environment(env_vars: request.environment))
    }

    package func preview() throws -> String {
        let id = Self.id(run.newSubmission(name), run)
        return """
            # \(run.path)/\(Self.driverName)
            \(RayDriver.text)
            # \(run.path)/\(Self.jobName)
            \(try JSONText.pretty(job()))

            POST \(request.address ?? Self.address)/api/jobs/
            \(try JSONText.pretty(start(id)))

            """
    }

    private static func id(_ submission: ClusterSubmission, _ run: ClusterRun) -> String {
        "\(run.plan.id)-\(submission.number)"
    }

    package func submit(_ record: (ClusterSubmission) throws -> Void) throws {
        var submission = run.newSubmission(name, address: request.address ?? Self.address)
        submission.jobs = [Self.id(submission, run)]
        try record(submission)
        _ = try run.store(RayDriver.text, as: Self.driverName)
        _ = try run.store(JSONText.pretty(job()) + "\n", as: Self.jobName)
        let reply = try call(submission, "", posting: JSONText.line(start(submission.jobs[0])))
        guard reply.status == 200 else { throw failed(submission, reply) }
        submission.state = .submitted
        try record(submission)
    }

    private struct Info: Decodable {
        let status: String
        let message: String?
    }

    package func state(of submission: ClusterSubmission) throws -> ClusterEngineState {
        let id = submission.jobs.first ?? ""
        let reply = try call(submission, id)
        // Before the request arrived, or by another cluster.
        if reply.status == 404 { return ClusterEngineState(isActive: false, text: "Ray knows no job \(id)") }
        guard reply.status == 200, let info = try? JSONDecoder().decode(Info.self, from: Data(reply.body)) else {
            throw failed(submission, reply)
        }
        let message = info.message.map { ": " + ($0.split(separator: "\n").first.map(String.init) ?? "") } ?? ""
        return ClusterEngineState(
            isActive: ["PENDING", "RUNNING"].contains(info.status),
            text: "job \(id) \(info.status.lowercased())" + message)
    }

    package func cancel(_ submission: ClusterSubmission) throws {
        let reply = try call(submission, (submission.jobs.first ?? "") + "/stop", posting: "")
        guard reply.status == 200 || reply.status == 404 else { throw failed(submission, reply) }
    }

    private func call(
        _ submission: ClusterSubmission, _ path: String, posting: String? = nil
    ) throws -> JSONService.Reply {
        let address = request.address ?? submission.address ?? Self.address
        do {
            let service = try JSONService(address, environment: ProcessInfo.processInfo.environment, timeout: 30)
            return try service.call("/api/jobs/" + path, posting: posting) { [cancellation] in try cancellation.check()
            }
        } catch let error as HubError where error.code == .network {
            throw Failure(
                code: "engine_failed",
                message: "\(error.message); is this the address of Ray's dashboard?", exitCode: Exit.retry)
        }
    }

    private func failed(_ submission: ClusterSubmission, _ reply: JSONService.Reply) -> Failure {
        let text = String(decoding: reply.body.prefix(500), as: UTF8.self)
        // Ray answers with a trace; its last line says why.
        let line = text.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
        return Failure(
            code: "engine_failed",
            message: "\(submission.address ?? ""): Ray answered with the HTTP status \(reply.status): \(line)",
            exitCode: Exit.retry)
    }
}
