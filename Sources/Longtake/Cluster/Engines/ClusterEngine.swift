internal import Foundation
internal import Store

/// Starts the workers of a run on machines, and knows what became of them.
///
/// Nothing depends on what an engine says: what is published is in the run's folder. An engine starts a worker for each
/// shard with open units, starts it again where a machine is lost, and starts those that ask after those that index.
package protocol ClusterEngine {
    /// Its name, as it is typed and stored.
    var name: String { get }

    /// The files that it would write and the programs that it would run, for people.
    func preview() throws -> String

    /// Starts the workers; returns when the engine has accepted them, or when they have ended.
    ///
    /// - Parameter record: stores what is known so far, before and after the engine is asked.
    /// - Throws: `Failure` `engine_missing`, `engine_failed`.
    func submit(_ record: (ClusterSubmission) throws -> Void) throws

    /// What the engine says about a submission.
    ///
    /// - Throws: `Failure` `engine_missing`, `engine_failed`.
    func state(of submission: ClusterSubmission) throws -> ClusterEngineState

    /// Ends the workers of a submission.
    ///
    /// - Throws: `Failure` `engine_missing`, `engine_failed`.
    func cancel(_ submission: ClusterSubmission) throws
}

/// What an engine says about its part of a run.
package struct ClusterEngineState: Sendable, Encodable {
    /// True if the engine may still start or run workers.
    package let isActive: Bool
    /// A few words for people.
    package let text: String
}

/// What was handed to an engine; `engine.json` in the run's folder.
package struct ClusterSubmission: Sendable, Codable, Equatable {
    /// "submitting" before the engine was asked, "submitted" after it has accepted, "ended", "canceled".
    package enum State: String, Sendable, Codable {
        case submitting, submitted, ended, canceled
    }

    /// The engine's name.
    package let engine: String
    /// Which submission of the run this is, from 1.
    package let number: Int
    package internal(set) var state: State
    /// When, RFC 3339.
    package let time: String
    /// The machine that submitted, and its process.
    package let host: String
    package let process: Int32
    /// Slurm's array jobs, Ray's submission id.
    package internal(set) var jobs: [String] = []
    /// Ray's address.
    package internal(set) var address: String?
}

/// What is handed to an engine.
package struct ClusterRequest: Sendable {
    /// The command line of a worker without the shard's number, which comes last.
    package var worker: [String]
    /// The command line that collects; nil: nobody does.
    package var collect: [String]?
    /// Environment variables that workers need.
    package var environment: [String: String] = [:]
    /// Cores per worker; nil: the engine's default.
    package var cores: Int?
    /// Bytes of memory per worker.
    package private(set) var memory: Int64?
    /// Seconds until a worker is ended; nil: from the plan, if it knows what a frame costs.
    package var timeLimit: Double?
    /// Workers at once; nil: as many as fit.
    package var jobs: Int?
    /// Slurm's partition.
    package var partition: String?
    /// Numbers in one array of Slurm; nil: what the engine allows.
    package var arraySize: Int?
    /// Ray's address.
    package var address: String?
    /// How often a worker is started again that could not go on.
    package let retries = 5

    /// A request that leaves all to the engine.
    package init(worker: [String]) { self.worker = worker }

    /// Sets the memory per worker.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a text that is not a size.
    package mutating func set(memory text: String) throws {
        guard case .bytes(let bytes)? = try? Library.size(text), bytes > 0 else {
            throw LongtakeError(code: .badRequest, message: "invalid memory size \"\(text)\"; use bytes, 24G or 500MB")
        }
        memory = bytes
    }

    /// A word for a shell.
    static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./=:,@+%".utf8.contains(byte)
            }
        }
        return plain && !word.isEmpty ? word : "'" + word.replacing("'", with: #"'\''"#) + "'"
    }

    static func line(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }
}

/// Shards that an engine works on before it begins with the next ones.
struct ClusterStage {
    let kind: ClusterUnit.Kind
    /// Numbers of the shards with open units, ascending.
    let shards: [Int]
    /// The largest planned cost of these shards, in frames.
    let cost: Double
}

extension ClusterRun {
    /// The shards with units that are neither published nor failed: those that index, then those that ask.
    func openStages() throws -> [ClusterStage] {
        try [ClusterUnit.Kind.index, .ask].compactMap { kind in
            let open = try plan.shards(of: kind).filter { shard in
                try units(ofShard: shard).contains { !isSettled($0.key) }
            }
            guard !open.isEmpty else { return nil }
            return ClusterStage(kind: kind, shards: open, cost: open.map { plan.shards[$0].cost }.max() ?? 0)
        }
    }

    /// Number of shards with open units.
    package func openShards() throws -> Int { try openStages().reduce(0) { $0 + $1.shards.count } }

    /// Seconds that a worker of a stage may take: twice what the plan expects and ten minutes; nil if it expects nothing.
    func timeLimit(_ stage: ClusterStage, _ request: ClusterRequest) -> Double? {
        request.timeLimit ?? plan.secondsPerFrame.map { stage.cost * $0 * 2 + 600 }
    }

    private var submissionPath: String { path + "/engine.json" }
    /// A file that says that no worker is to be started again.
    var canceledPath: String { path + "/canceled" }

    /// What was submitted last; nil if nothing was.
    package var submission: ClusterSubmission? {
        (try? Data(contentsOf: URL(fileURLWithPath: submissionPath))).flatMap {
            try? JSONDecoder().decode(ClusterSubmission.self, from: $0)
        }
    }

    func record(_ submission: ClusterSubmission) throws {
        do {
            try SharedFile.replace(submissionPath, with: Array((try JSONText.pretty(submission) + "\n").utf8))
        } catch {
            throw Self.storage(submissionPath, error)
        }
    }

    /// The state of a new submission, before the engine is asked.
    func newSubmission(_ engine: String, address: String? = nil) -> ClusterSubmission {
        ClusterSubmission(
            engine: engine, number: (submission?.number ?? 0) + 1, state: .submitting,
            time: Date().formatted(.iso8601), host: Self.host, process: ProcessInfo.processInfo.processIdentifier,
            address: address)
    }

    /// Submits what is open.
    ///
    /// - Returns: false if nothing is open; nothing is submitted then.
    /// - Throws: `Failure` `already_submitted` if an engine still works on the run, and as `ClusterEngine.submit`.
    package func submit(to engine: any ClusterEngine, _ find: (String) throws -> any ClusterEngine) throws -> Bool {
        guard try openShards() > 0 else { return false }
        if let earlier = submission, earlier.state == .submitting || earlier.state == .submitted {
            let state: ClusterEngineState?
            do {
                state = try find(earlier.engine).state(of: earlier)
            } catch  where earlier.state == .submitting {
                // An engine that did not answer then, and does not now. If it has begun after all, units are done twice.
                state = nil
            }
            if let state, state.isActive {
                throw Failure(
                    code: "already_submitted",
                    message: "\(path): submitted to \(earlier.engine) at \(earlier.time), which still works on it "
                        + "(\(state.text)); wait for it or cancel it first", exitCode: Exit.usage)
            }
        }
        try? FileManager.default.removeItem(atPath: canceledPath)
        try engine.submit(record)
        return true
    }

    /// Tells an engine to end what was submitted.
    ///
    /// - Returns: the submission; nil if there was none.
    /// - Throws: as `ClusterEngine.cancel`.
    package func cancel(_ find: (String) throws -> any ClusterEngine) throws -> ClusterSubmission? {
        guard var submission else { return nil }
        // Before the engine ends anything: a worker that is ended must not be started again.
        try SharedFile.replace(canceledPath, with: [])
        try find(submission.engine).cancel(submission)
        submission.state = .canceled
        try record(submission)
        return submission
    }

    /// Writes a script into the run's folder; returns its path.
    func store(_ text: String, as name: String) throws -> String {
        let file = path + "/" + name
        do {
            try SharedFile.replace(file, with: Array(text.utf8))
        } catch {
            throw Self.storage(file, error)
        }
        return file
    }
}
